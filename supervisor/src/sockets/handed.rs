//! The sockets that one supervisor leaves to the next, which is another program in the same process.

use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BindError, LaneSockets, ListenOptions, Listener, MetricsSockets, Sockets};
use super::{WorkerSocket, WorkerSockets};
use crate::address::NamedAddress;
use crate::process::inherit;

/// All sockets of a run, in words.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SocketsState {
    workers: Vec<WorkerSocketState>,
    exporter: Vec<ListenerState>,
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
    pub(crate) fn of(workers: &WorkerSockets, exporter: &[Listener]) -> Self {
        let state = |socket: &WorkerSocket| match socket {
            WorkerSocket::Shared(listener) => WorkerSocketState::Shared(ListenerState::of(listener)),
            WorkerSocket::Lanes(lanes) => {
                WorkerSocketState::Lanes(lanes.listeners().iter().map(ListenerState::of).collect())
            }
        };
        Self {
            workers: workers.iter().map(state).collect(),
            exporter: exporter.iter().map(ListenerState::of).collect(),
        }
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
        metrics: &MetricsSockets,
        options: &ListenOptions,
    ) -> Result<(), BindError> {
        let shared = options.shared();
        let is_passed =
            |wanted: &NamedAddress| self.workers.iter().any(|state| state.is_passed(&wanted.name));
        let is_there = |wanted: &NamedAddress| self.workers.iter().any(|state| state.serves(wanted, options));
        for wanted in bind.iter().filter(|wanted| !is_passed(wanted) && !is_there(wanted)) {
            Listener::bind(wanted, &shared)?;
        }
        if self.exporter.iter().any(|state| state.wanted.is_none()) {
            return Ok(());
        }
        let is_served = |wanted: &NamedAddress| self.exporter.iter().any(|state| state.is_for(wanted));
        for wanted in metrics.to_bind()?.filter(|wanted| !is_served(wanted)) {
            Listener::bind(&wanted, &shared)?;
        }
        Ok(())
    }

    /// Takes over what is still wanted, binds the rest, and closes what nobody wants any more.
    ///
    /// # Errors
    ///
    /// When a socket is not there, or an address cannot be had.
    pub(crate) fn take_over(
        self,
        bind: &[NamedAddress],
        metrics: &MetricsSockets,
        options: &ListenOptions,
    ) -> Result<Sockets, BindError> {
        // The trial has shown that it can be had at once.
        let options = &ListenOptions { timeout: Duration::ZERO, ..*options };
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
                None => WorkerSocket::bind_in_time(wanted, options, &mut |_| false)?,
            });
        }
        let (passed, mut exporters): (Vec<_>, Vec<_>) =
            self.exporter.into_iter().partition(|state| state.wanted.is_none());
        let mut exporter = passed.into_iter().map(ListenerState::take).collect::<Result<Vec<_>, _>>()?;
        if exporter.is_empty() {
            for wanted in metrics.to_bind()? {
                exporter.push(match exporters.iter().position(|state| state.serves(&wanted)) {
                    Some(at) => exporters.remove(at).take()?,
                    None => Listener::bind(&wanted, &options.shared())?,
                });
            }
        }
        for state in exporters {
            drop(state.take()?);
        }
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
        let is_of_kind = matches!(self, Self::Lanes(_)) == options.is_laned(&wanted.address);
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

    /// Whether it takes the place of what is wanted: one that was passed does of any.
    fn is_for(&self, wanted: &NamedAddress) -> bool {
        self.wanted.is_none() || self.serves(wanted)
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
