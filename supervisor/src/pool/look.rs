//! What is to be seen of the workers, one by one: where they stand, and why they have ended.

use std::time::{Duration, Instant};

use super::{Expiry, Pid, Place, Pool, Process, Seat};

/// What a worker does, or its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// Forked, but not ready yet.
    Starting,
    /// Serving.
    Ready,
    /// Told to stop, or stopping by itself.
    Stopping,
    /// Nobody is there, and the next one waits because the last ones failed.
    BackingOff,
    /// Nobody is there.
    Vacant,
}

/// A slot, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// Its number.
    pub slot: u32,
    /// What its worker does.
    pub state: WorkerState,
    /// The worker, and its generation.
    pub worker: Option<(Pid, u64)>,
}

/// Why a worker has ended, where its exit does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It did not say in time that it was alive.
    Hung,
    /// It had lived long enough.
    Recycled,
    /// It had more memory than it may have.
    Memory,
    /// It was never ready.
    BootFailure,
}

impl Pool {
    /// The slots, in the order of their numbers.
    pub fn slots(&self, now: Instant) -> impl Iterator<Item = SlotView> {
        (0..).zip(&self.workers).map(move |(slot, place)| SlotView {
            slot,
            state: place.state(now),
            worker: place.process.map(|process| (process.pid, process.generation)),
        })
    }

    /// For how long a worker has been starting; `None` if it is ready, or none.
    #[must_use]
    pub fn starting_for(&self, pid: Pid, now: Instant) -> Option<Duration> {
        let process = self.worker(pid)?.process.filter(|process| process.ready.is_none())?;
        Some(now.duration_since(process.started))
    }

    /// Whether a worker was to go on when it ended. Ask before the end is recorded.
    #[must_use]
    pub fn was_to_go_on(&self, pid: Pid) -> bool {
        !self.is_stopping() && self.worker(pid).is_some_and(|place| place.is_wanted)
    }

    /// Why a worker has ended, where its exit does not tell. Ask before the end is recorded.
    #[must_use]
    pub fn cause_of_end(&self, pid: Pid, now: Instant) -> Option<Cause> {
        let process = self.worker(pid)?.process?;
        if process.aborted {
            return Some(Cause::Hung);
        }
        if self.was_to_go_on(pid) {
            let was_ready = process.became_ready(self.presumed_after(), now).is_some();
            return (!was_ready).then_some(Cause::BootFailure);
        }
        match process.expired.filter(|_| !self.is_stopping())? {
            Expiry::Lifetime | Expiry::Requests | Expiry::Misplaced | Expiry::Upgrade => {
                Some(Cause::Recycled)
            }
            Expiry::Memory => Some(Cause::Memory),
        }
    }

    fn worker(&self, pid: Pid) -> Option<&Place> {
        let has = |place: &&Place| place.process.is_some_and(|process| process.pid == pid);
        self.places().filter(|(seat, _)| matches!(seat, Seat::Worker(_))).map(|(_, place)| place).find(has)
    }
}

impl Place {
    pub(super) fn state(&self, now: Instant) -> WorkerState {
        match self.process {
            Some(process) => process.state(),
            None if self.backoff.until().is_some_and(|at| at > now) => WorkerState::BackingOff,
            None => WorkerState::Vacant,
        }
    }
}

impl Process {
    pub(super) fn state(&self) -> WorkerState {
        match self {
            Self { told: Some(_), .. } | Self { stopping: true, .. } => WorkerState::Stopping,
            Self { ready: Some(_), .. } => WorkerState::Ready,
            _ => WorkerState::Starting,
        }
    }
}
