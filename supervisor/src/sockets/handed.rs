//! The sockets that one supervisor leaves to the next, which is another program in the same process.

use std::os::fd::{AsRawFd, RawFd};

use serde::{Deserialize, Serialize};

use super::run::METRICS;
use super::{BindError, LaneSockets, ListenOptions, Listener, Sockets, WorkerSocket, WorkerSockets};
use crate::address::{Address, NamedAddress};
use crate::process::inherit;

/// All sockets of a run, in words.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SocketsState {
    workers: Vec<WorkerSocketState>,
    exporter: Option<ListenerState>,
}

#[derive(Debug, Deserialize, Serialize)]
enum WorkerSocketState {
    Shared(ListenerState),
    /// In the order of the lanes, by which the kernel knows them.
    Lanes(Vec<ListenerState>),
}

#[derive(Debug, Deserialize, Serialize)]
struct ListenerState {
    name: String,
    /// What was asked for, such as port 0; `None` if the service manager has passed it.
    wanted: Option<String>,
    descriptor: RawFd,
    owns_file: bool,
}

impl SocketsState {
    pub(crate) fn of(workers: &WorkerSockets, exporter: Option<&Listener>) -> Self {
        let state = |socket: &WorkerSocket| match socket {
            WorkerSocket::Shared(listener) => WorkerSocketState::Shared(ListenerState::of(listener)),
            WorkerSocket::Lanes(lanes) => {
                WorkerSocketState::Lanes(lanes.listeners().iter().map(ListenerState::of).collect())
            }
        };
        Self { workers: workers.iter().map(state).collect(), exporter: exporter.map(ListenerState::of) }
    }

    /// The descriptors that go with it.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let workers = self.workers.iter().flat_map(WorkerSocketState::listeners);
        workers.chain(&self.exporter).map(|listener| listener.descriptor)
    }

    /// Binds what is not among these, and lets go of it.
    ///
    /// # Errors
    ///
    /// When an address cannot be had.
    pub(crate) fn check(
        &self,
        bind: &[NamedAddress],
        metrics: Option<&Address>,
        options: &ListenOptions,
    ) -> Result<(), BindError> {
        let shared = ListenOptions { reuse_port: false, ..*options };
        let is_passed =
            |wanted: &NamedAddress| self.workers.iter().any(|state| state.is_passed(&wanted.name));
        let is_there = |wanted: &NamedAddress| self.workers.iter().any(|state| state.serves(wanted, options));
        for wanted in bind.iter().filter(|wanted| !is_passed(wanted) && !is_there(wanted)) {
            Listener::bind(wanted, &shared)?;
        }
        match metrics.map(wanted_metrics) {
            Some(wanted) if !self.exporter.as_ref().is_some_and(|state| state.serves(&wanted)) => {
                Listener::bind(&wanted, &shared).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Takes over what is still wanted, binds the rest, and closes what nobody wants any more.
    ///
    /// # Errors
    ///
    /// When a socket is not there, or an address cannot be had.
    pub(crate) fn take_over(
        mut self,
        bind: &[NamedAddress],
        metrics: Option<&Address>,
        options: &ListenOptions,
    ) -> Result<Sockets, BindError> {
        let shared = ListenOptions { reuse_port: false, ..*options };
        let (passed, mut left): (Vec<_>, Vec<_>) = self
            .workers
            .into_iter()
            .partition(|state| state.listeners().iter().any(|one| one.wanted.is_none()));
        let names: Vec<_> =
            passed.iter().flat_map(|state| state.listeners()).map(|one| one.name.clone()).collect();
        let mut workers =
            passed.into_iter().map(|state| state.take(options)).collect::<Result<Vec<_>, _>>()?;
        for wanted in bind.iter().filter(|wanted| !names.contains(&wanted.name)) {
            workers.push(match left.iter().position(|state| state.serves(wanted, options)) {
                Some(at) => left.remove(at).take(options)?,
                None if is_laned(wanted, options) => {
                    WorkerSocket::Lanes(LaneSockets::bind_in_time(wanted, options, &mut |_| false)?)
                }
                None => WorkerSocket::Shared(Listener::bind(wanted, &shared)?),
            });
        }
        let exporter = match (self.exporter.take(), metrics.map(wanted_metrics)) {
            (Some(state), wanted)
                if state.wanted.is_none() || wanted.as_ref().is_some_and(|wanted| state.serves(wanted)) =>
            {
                Some(state.take()?)
            }
            (other, wanted) => {
                other.map(ListenerState::take).transpose()?;
                wanted.map(|wanted| Listener::bind(&wanted, &shared)).transpose()?
            }
        };
        for state in left {
            drop(state.take(options)?);
        }
        Ok(Sockets { workers: WorkerSockets::inherited(workers), exporter })
    }
}

impl WorkerSocketState {
    fn listeners(&self) -> &[ListenerState] {
        match self {
            Self::Shared(listener) => std::slice::from_ref(listener),
            Self::Lanes(listeners) => listeners,
        }
    }

    fn is_passed(&self, name: &str) -> bool {
        self.listeners().iter().any(|one| one.wanted.is_none() && one.name == name)
    }

    /// Whether it is what is wanted now, and in the way in which it is.
    fn serves(&self, wanted: &NamedAddress, options: &ListenOptions) -> bool {
        let is_of_kind = matches!(self, Self::Lanes(_)) == is_laned(wanted, options);
        is_of_kind && self.listeners().iter().any(|one| one.serves(wanted))
    }

    fn take(self, options: &ListenOptions) -> Result<WorkerSocket, BindError> {
        Ok(match self {
            Self::Shared(listener) => WorkerSocket::Shared(listener.take()?),
            Self::Lanes(listeners) => {
                let listeners = listeners.into_iter().map(ListenerState::take).collect::<Result<_, _>>()?;
                WorkerSocket::Lanes(LaneSockets::inherited(listeners, options.backlog))
            }
        })
    }
}

impl ListenerState {
    fn of(listener: &Listener) -> Self {
        Self {
            name: listener.name.clone(),
            wanted: listener.wanted.as_ref().map(ToString::to_string),
            descriptor: listener.socket.as_raw_fd(),
            owns_file: listener.owns_file(),
        }
    }

    fn serves(&self, wanted: &NamedAddress) -> bool {
        self.wanted.as_ref().is_some_and(|known| *known == wanted.to_string())
    }

    fn take(self) -> Result<Listener, BindError> {
        let Self { name, wanted, descriptor, owns_file } = self;
        let taken = inherit(descriptor).map_err(Into::into);
        let taken = taken.and_then(|socket| Listener::inherited(name.clone(), socket, owns_file));
        let mut listener = taken.map_err(|source| BindError::Left { name, source })?;
        listener.wanted = wanted.and_then(|wanted| wanted.parse().ok());
        Ok(listener)
    }
}

fn is_laned(wanted: &NamedAddress, options: &ListenOptions) -> bool {
    options.reuse_port && matches!(wanted.address, Address::Tcp(_))
}

fn wanted_metrics(address: &Address) -> NamedAddress {
    NamedAddress { name: METRICS.to_owned(), address: address.clone() }
}
