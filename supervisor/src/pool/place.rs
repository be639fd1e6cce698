//! A seat, and who has it.

use std::time::{Duration, Instant};

use super::{Backoff, Expiry, Pid};

/// A seat's state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) process: Option<Process>,
    pub(super) backoff: Backoff,
    /// Whether somebody is to be here: not so once whoever is has been told to stop, and others serve.
    pub(super) is_wanted: bool,
}

/// A process that lives, or is not buried yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) generation: u64,
    pub(super) lane: u32,
    pub(super) started: Instant,
    pub(super) ready: Option<Instant>,
    /// When it last said that it is alive.
    pub(super) alive: Option<Instant>,
    /// Whether it is to be replaced, and why.
    pub(super) expired: Option<Expiry>,
    pub(super) told: Option<Told>,
    /// Whether it was taken to hang.
    pub(super) aborted: bool,
    /// Whether it has said itself that it stops.
    pub(super) stopping: bool,
}

/// What a process has been told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Told {
    /// To stop, patiently or (for the second time) not.
    Term { hurried: bool, at: Instant },
    /// To abort.
    Abort { at: Instant },
    /// Nothing that it could object to.
    Kill,
}

impl Place {
    /// A seat for somebody who is to come.
    pub(super) fn wanted() -> Self {
        Self { is_wanted: true, ..Self::default() }
    }

    /// Whether somebody is to be started here at `now`.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_wanted && self.process.is_none() && self.backoff.until().is_none_or(|at| at <= now)
    }

    /// Whether nobody is here and nobody is to come.
    pub(super) fn is_free(&self) -> bool {
        !self.is_wanted && self.process.is_none()
    }

    /// Who is here and is to stay.
    pub(super) fn kept(&self) -> Option<Process> {
        self.process.filter(|_| self.is_wanted)
    }
}

impl Process {
    pub(super) fn new(pid: Pid, generation: u64, lane: u32, started: Instant) -> Self {
        Self {
            pid,
            generation,
            lane,
            started,
            ready: None,
            alive: None,
            expired: None,
            told: None,
            aborted: false,
            stopping: false,
        }
    }

    /// Whether it takes what is new.
    pub(super) fn serves(&self) -> bool {
        self.ready.is_some() && self.told.is_none() && !self.stopping
    }

    /// Since when it serves: since it said so, or since it has lived long enough where that counts.
    pub(super) fn became_ready(&self, presumed_after: Option<Duration>, now: Instant) -> Option<Instant> {
        let presumed = presumed_after.map(|time| self.started + time).filter(|&at| at <= now);
        self.ready.or(presumed)
    }
}
