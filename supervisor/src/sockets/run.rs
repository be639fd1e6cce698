//! All sockets of a run: what the service manager has passed comes first, the rest is bound.

use super::{BindError, ListenOptions, Listener};
use crate::address::{Address, NamedAddress};

/// The name of the exporter's socket.
const METRICS: &str = "metrics";

/// The workers' sockets and the exporter's.
#[derive(Debug)]
pub struct Sockets {
    /// In the order in which workers get them.
    pub workers: Vec<Listener>,
    /// Where metrics are served, if they are.
    pub exporter: Option<Listener>,
}

impl Sockets {
    /// Keeps what was [passed](super::take_passed), and binds what is left to be bound.
    ///
    /// A name that was passed is not bound again, so that one command line serves with and without a socket
    /// unit. A passed socket `metrics` is the exporter's.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had. None is kept then.
    pub fn open(
        passed: Vec<Listener>,
        bind: &[NamedAddress],
        metrics: Option<Address>,
        options: &ListenOptions,
    ) -> Result<Self, BindError> {
        let (mut exporters, mut workers): (Vec<_>, Vec<_>) =
            passed.into_iter().partition(|listener| listener.name == METRICS);
        let names: Vec<String> = workers.iter().map(|listener| listener.name.clone()).collect();
        for wanted in bind {
            if names.contains(&wanted.name) {
                let NamedAddress { name, address } = wanted;
                tracing::info!(name, %address, "is not bound: a socket of this name was passed");
            } else {
                workers.push(Listener::bind(wanted, options)?);
            }
        }
        let exporter = match (exporters.pop(), metrics) {
            (Some(_), _) if !exporters.is_empty() => return Err(BindError::Metrics),
            (Some(passed), _) => Some(passed),
            (None, Some(address)) => {
                Some(Listener::bind(&NamedAddress { name: METRICS.to_owned(), address }, options)?)
            }
            (None, None) => None,
        };
        Ok(Self { workers, exporter })
    }
}
