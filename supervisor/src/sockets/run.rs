//! All sockets of a run: what the service manager has passed comes first, the rest is bound.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::{BindError, LaneSockets, ListenOptions, Listener};
use crate::address::{Address, NamedAddress};
use crate::pool::Lane;

/// The name of the exporter's socket.
pub(super) const METRICS: &str = "metrics";

/// The workers' sockets and the exporter's.
#[derive(Debug)]
pub struct Sockets {
    /// Where workers listen.
    pub workers: WorkerSockets,
    /// Where metrics are served.
    pub exporter: Vec<Listener>,
}

/// The workers' sockets, in the order in which they get them.
#[derive(Debug, Default)]
pub struct WorkerSockets(Vec<WorkerSocket>);

/// What a worker has at one address.
#[derive(Debug)]
pub enum WorkerSocket {
    /// The socket that all workers have.
    Shared(Listener),
    /// The socket of its lane.
    Lanes(LaneSockets),
}

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsSockets {
    /// At these addresses, unless there are sockets for that which were passed.
    At(Vec<Address>),
    /// At sockets that were passed.
    Passed,
}

impl MetricsSockets {
    /// Whether metrics are served nowhere.
    #[must_use]
    pub fn are_none(&self) -> bool {
        *self == Self::At(Vec::new())
    }

    /// What is to be bound for it, as nothing was passed.
    pub(super) fn to_bind(&self) -> Result<impl Iterator<Item = NamedAddress>, BindError> {
        match self {
            Self::At(addresses) => Ok(addresses.iter().map(wanted_metrics)),
            Self::Passed => Err(BindError::NonePassed),
        }
    }
}

impl Sockets {
    /// Keeps what was [passed](super::take_passed), and binds what is left to be bound.
    ///
    /// A name that was passed is not bound again, so that one command line serves with and without a socket
    /// unit. Passed sockets `metrics` are the exporter's. While an address is waited for, `pause` is called.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had. None is kept then.
    pub fn open(
        passed: Vec<Listener>,
        bind: &[NamedAddress],
        metrics: &MetricsSockets,
        options: &ListenOptions,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Self, BindError> {
        let (mut exporters, passed): (Vec<_>, Vec<_>) =
            passed.into_iter().partition(|listener| listener.name == METRICS);
        let names: Vec<String> = passed.iter().map(|listener| listener.name.clone()).collect();
        let mut workers: Vec<_> = passed.into_iter().map(WorkerSocket::Shared).collect();
        for wanted in bind {
            if names.contains(&wanted.name) {
                let NamedAddress { name, address } = wanted;
                tracing::info!(name, %address, "is not bound: a socket of this name was passed");
            } else {
                workers.push(WorkerSocket::bind_in_time(wanted, options, pause)?);
            }
        }
        if exporters.is_empty() {
            for wanted in metrics.to_bind()? {
                exporters.push(Listener::bind_in_time(&wanted, &options.shared(), pause)?);
            }
        }
        Ok(Self { workers: WorkerSockets(workers), exporter: exporters })
    }
}

/// The address of an exporter, with its name.
fn wanted_metrics(address: &Address) -> NamedAddress {
    NamedAddress { name: METRICS.to_owned(), address: address.clone() }
}

impl WorkerSockets {
    /// Takes over the sockets of another process, in the order in which workers get them.
    #[must_use]
    pub fn inherited(sockets: Vec<WorkerSocket>) -> Self {
        Self(sockets)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &WorkerSocket> {
        self.0.iter()
    }

    /// How each is called, and where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &Address)> {
        let first = self.0.iter().filter_map(|socket| socket.of_lane(0));
        first.map(|listener| (listener.name.as_str(), &listener.address))
    }

    /// Sees to it that a lane has sockets of its own.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn open_lane(&mut self, lane: u32) -> Result<(), BindError> {
        self.lanes().try_for_each(|lanes| lanes.open(lane))
    }

    /// What a worker of this lane gets. The lane must have been [opened](Self::open_lane).
    pub fn of_lane(&self, lane: u32) -> impl Iterator<Item = &Listener> {
        self.0.iter().filter_map(move |socket| socket.of_lane(lane))
    }

    /// All descriptors.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().flat_map(WorkerSocket::listeners).map(AsFd::as_fd)
    }

    /// Lets new connections go where somebody serves.
    pub fn steer(&mut self, lanes: impl FnOnce() -> Vec<Lane>) {
        if self.lanes().next().is_some() {
            let now = lanes();
            self.lanes().for_each(|lanes| lanes.steer(&now));
        }
    }

    fn lanes(&mut self) -> impl Iterator<Item = &mut LaneSockets> {
        self.0.iter_mut().filter_map(|socket| match socket {
            WorkerSocket::Lanes(lanes) => Some(lanes),
            WorkerSocket::Shared(_) => None,
        })
    }
}

impl WorkerSocket {
    /// Binds one for all workers, or one for each lane where each is to have its own.
    pub(super) fn bind_in_time(
        wanted: &NamedAddress,
        options: &ListenOptions,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Self, BindError> {
        if options.is_laned(&wanted.address) {
            LaneSockets::bind_in_time(wanted, options, pause).map(Self::Lanes)
        } else {
            Listener::bind_in_time(wanted, &options.shared(), pause).map(Self::Shared)
        }
    }

    /// Its sockets: the one that all have, or one for each lane.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        match self {
            Self::Shared(listener) => std::slice::from_ref(listener),
            Self::Lanes(lanes) => lanes.listeners(),
        }
    }

    fn of_lane(&self, lane: u32) -> Option<&Listener> {
        match self {
            Self::Shared(listener) => Some(listener),
            Self::Lanes(lanes) => lanes.listeners().get(lane as usize),
        }
    }
}
