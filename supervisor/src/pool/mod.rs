//! The pool: what the master knows, and what it decides.
//!
//! Read in this order: `event`, what happens and what is done; [`Backoff`], when a seat may be taken again; `place`, who has it; [`Lane`], whose queue is
//! whose; `reload`, how one generation follows another; `upgrade`, how the supervisor itself is followed by
//! another; `snapshot`, what it tells that one; `record`, what is learnt; `plan`, what is to be done; `look`, what
//! is to be seen.
//!
//! Everything that happens to the pool is one variant of [`Event`], everything that is to be done one of
//! [`Action`]. [`Pool::plan`] is a pure function of the state and the time, so that lives of a supervisor
//! can be tested by the thousand without a fork: the [master](crate::master) only performs what it says,
//! and reports what came of it.

mod backoff;
mod event;
mod lane;
mod look;
mod place;
mod plan;
mod record;
mod reload;
mod snapshot;
mod upgrade;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, Instant};

pub use backoff::Backoff;
pub(crate) use backoff::jittered_count;
pub use event::{Action, Event, Exit, Expiry, Force, Outcome};
pub use lane::Lane;
pub use look::{Cause, SlotView, WorkerState};
pub use reload::ReloadOutcome;
pub(crate) use snapshot::Snapshot;

use place::{Place, Process, Told};
use reload::Reload;
use upgrade::Upgrade;

/// A process ID as this process sees it.
pub type Pid = nix::unistd::Pid;

/// A place in the pool. It is never held by two processes that are alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seat {
    /// The worker slot of this number, which a successor has again.
    Worker(u32),
    /// The process that serves `/metrics`.
    Exporter,
    /// The process that shows whether a new supervisor could take over.
    Trial,
}

impl Seat {
    /// A number that no other seat has.
    fn number(self) -> u32 {
        match self {
            Self::Worker(slot) => slot,
            Self::Exporter => u32::MAX,
            Self::Trial => u32::MAX - 1,
        }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(slot) => write!(f, "worker {slot}"),
            Self::Exporter => f.write_str("exporter"),
            Self::Trial => f.write_str("trial"),
        }
    }
}

/// How the pool is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many workers there are to be.
    pub workers: u32,
    /// A worker that says nothing is taken to be ready when it has lived for so long, unless some worker
    /// has said that it is: then all are expected to.
    pub ready_after: Duration,
    /// A worker that is not ready by then is killed.
    pub boot_timeout: Duration,
    /// A worker that is ready and has not said for so long that it is alive is taken to hang, and aborted.
    pub watchdog: Option<Duration>,
    /// A worker that has lived for so long, less up to a fifth, is replaced.
    pub max_lifetime: Option<Duration>,
    /// How many workers there may be beside those that are to be, while a reload goes on.
    pub surge: u32,
    /// Whether each worker has a queue of its own.
    pub lanes: bool,
    /// How long a process may take to stop before it is killed.
    pub graceful_timeout: Duration,
    /// How long it may take once the operator has grown impatient.
    pub hurry_timeout: Duration,
    /// A worker that has been ready for so long has its slot's failures forgotten.
    pub healthy_after: Duration,
    /// So many failures, at least one of each worker, end the pool if no worker has ever been ready.
    pub give_up_after: u32,
}

/// What the master knows of its processes.
#[derive(Debug)]
pub struct Pool {
    policy: Policy,
    /// How many workers there are to be.
    target: u32,
    /// The slots. There are more than workers while some stop beside their successors.
    workers: Vec<Place>,
    exporter: Option<Place>,
    /// Whether any worker has ever been ready.
    ever_ready: bool,
    /// Whether any worker has ever said so.
    says_ready: bool,
    /// The generation of workers that are started now.
    generation: u64,
    /// The newest generation that there has ever been.
    newest: u64,
    reload: Option<Reload>,
    upgrade: Option<Upgrade>,
    /// Who tries the new program.
    trial: Place,
    stopping: Option<Stopping>,
}

#[derive(Clone, Copy, Debug)]
struct Stopping {
    outcome: Outcome,
    /// When whoever still runs is killed.
    deadline: Instant,
    /// Whether `SIGTERM` is to be sent again.
    hurried: bool,
}

/// How many workers there are, by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Forked, but not ready yet.
    pub starting: u32,
    /// Serving.
    pub ready: u32,
    /// Told to stop, or stopping by themselves.
    pub stopping: u32,
}

impl Pool {
    /// A pool in which nobody is yet.
    #[must_use]
    pub fn new(policy: Policy, exporter: bool) -> Self {
        Self {
            policy,
            target: policy.workers,
            workers: vec![Place::wanted(); policy.workers as usize],
            exporter: exporter.then(Place::wanted),
            ever_ready: false,
            says_ready: false,
            generation: 0,
            newest: 0,
            reload: None,
            upgrade: None,
            trial: Place::default(),
            stopping: None,
        }
    }

    /// Whether the pool has been told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether a new generation is taking the place of the old one.
    #[must_use]
    pub fn is_reloading(&self) -> bool {
        self.reload.is_some()
    }

    /// The workers that serve and are to go on.
    pub fn serving(&self) -> impl Iterator<Item = Pid> {
        let processes = self.workers.iter().filter_map(|place| place.process);
        let goes_on = |process: &Process| process.serves() && process.expired.is_none();
        processes.filter(goes_on).map(|process| process.pid)
    }

    /// All workers that are alive.
    pub fn workers(&self) -> impl Iterator<Item = Pid> {
        self.workers.iter().filter_map(|place| place.process).map(|process| process.pid)
    }

    /// The generation of workers that are started now.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How long a process may take to stop.
    #[must_use]
    pub fn graceful_timeout(&self) -> Duration {
        self.policy.graceful_timeout
    }

    /// How many workers there are to be.
    #[must_use]
    pub fn target(&self) -> u32 {
        self.target
    }

    /// Who has this PID.
    #[must_use]
    pub fn seat_of(&self, pid: Pid) -> Option<Seat> {
        self.places()
            .find(|(_, place)| place.process.is_some_and(|process| process.pid == pid))
            .map(|(seat, _)| seat)
    }

    /// The generation of the process that has this PID.
    #[must_use]
    pub fn generation_of(&self, pid: Pid) -> Option<u64> {
        let mut processes = self.places().filter_map(|(_, place)| place.process);
        processes.find(|process| process.pid == pid).map(|process| process.generation)
    }

    /// Whether a process has been known to serve.
    #[must_use]
    pub fn is_ready(&self, pid: Pid) -> bool {
        let mut processes = self.places().filter_map(|(_, place)| place.process);
        processes.any(|process| process.pid == pid && process.ready.is_some())
    }

    /// Whether a process has been told to stop.
    #[must_use]
    pub fn is_told_to_stop(&self, pid: Pid) -> bool {
        let mut processes = self.places().filter_map(|(_, place)| place.process);
        processes.any(|process| process.pid == pid && process.told.is_some())
    }

    /// How many workers there are, by what they do.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for process in self.workers.iter().filter_map(|place| place.process) {
            let count = match process.state() {
                WorkerState::Stopping => &mut census.stopping,
                WorkerState::Ready => &mut census.ready,
                _ => &mut census.starting,
            };
            *count += 1;
        }
        census
    }

    /// Workers that wait for another try, because the last ones failed.
    #[must_use]
    pub fn backing_off(&self, now: Instant) -> u32 {
        let waits = |place: &&Place| place.state(now) == WorkerState::BackingOff;
        u32::try_from(self.workers.iter().filter(waits).count()).unwrap_or(u32::MAX)
    }

    /// Whether it has been tried often enough to say that no worker will ever be ready.
    fn is_hopeless(&self) -> bool {
        let failures =
            || self.workers.iter().filter(|place| place.is_wanted).map(|place| place.backoff.failures());
        let enough = failures().sum::<u32>() >= self.policy.give_up_after.max(self.target);
        !self.ever_ready && enough && failures().all(|failures| failures > 0)
    }

    fn places(&self) -> impl Iterator<Item = (Seat, &Place)> {
        let workers = (0..).map(Seat::Worker).zip(&self.workers);
        let exporter = self.exporter.as_ref().map(|place| (Seat::Exporter, place));
        workers.chain(exporter).chain([(Seat::Trial, &self.trial)])
    }
}
