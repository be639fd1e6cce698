//! The pool: what the master knows, and what it decides.
//!
//! Everything that happens to the pool is one variant of [`Event`], everything that is to be done one of
//! [`Action`]. [`Pool::plan`] is a pure function of the state and the time, so that lives of a supervisor
//! can be tested by the thousand without a fork: the [master](crate::master) only performs what it says,
//! and reports what came of it.

mod backoff;
mod plan;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, Instant};

pub use backoff::Backoff;

/// A process ID as this process sees it.
pub type Pid = nix::unistd::Pid;

/// A place in the pool. It is never held by two processes that are alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seat {
    /// The worker slot of this number, which a successor has again.
    Worker(u32),
    /// The process that serves `/metrics`.
    Exporter,
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(slot) => write!(f, "worker {slot}"),
            Self::Exporter => f.write_str("exporter"),
        }
    }
}

/// How the pool is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How many workers there are to be.
    pub workers: u32,
    /// A worker that says nothing is taken to be ready when it has lived for so long.
    pub ready_after: Duration,
    /// How long a process may take to stop before it is killed.
    pub graceful_timeout: Duration,
    /// How long it may take once the operator has grown impatient.
    pub hurry_timeout: Duration,
    /// A worker that has been ready for so long has its slot's failures forgotten.
    pub healthy_after: Duration,
    /// A slot that fails so often in a row, while no worker has ever been ready, ends the pool.
    pub give_up_after: u32,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process was forked for a seat.
    Started(Seat, Pid),
    /// No process could be forked for a seat.
    StartFailed(Seat),
    /// A process has said that it serves.
    Ready(Pid),
    /// A process has said that it takes nothing new.
    Stopping(Pid),
    /// A process is dead and buried.
    Exited(Pid, Exit),
    /// A signal was sent to a process.
    Signalled(Pid, Force),
    /// The pool is to stop: at first with patience, when it comes again with less.
    Stop,
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork a process for this seat.
    Start(Seat),
    /// Send a signal to a process.
    Signal(Pid, Force),
    /// All is over.
    Finish(Outcome),
}

/// How a process is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// `SIGTERM`: finish what was accepted.
    Term,
    /// `SIGKILL`.
    Kill,
}

/// How the pool has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to.
    Stopped,
    /// No worker has ever been ready.
    NeverReady,
}

/// What the master knows of its processes.
#[derive(Debug)]
pub struct Pool {
    policy: Policy,
    workers: Vec<Place>,
    exporter: Option<Place>,
    /// Whether any worker has ever been ready.
    ever_ready: bool,
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

/// A seat and who has it.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    process: Option<Process>,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug)]
struct Process {
    pid: Pid,
    started: Instant,
    ready: Option<Instant>,
    told: Option<Told>,
    /// Whether it has said itself that it stops.
    stopping: bool,
}

/// What a process has been told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// To stop, patiently or (for the second time) not.
    Term { hurried: bool, at: Instant },
    /// Nothing that it could object to.
    Kill,
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
            workers: vec![Place::default(); policy.workers as usize],
            exporter: exporter.then(Place::default),
            ever_ready: false,
            stopping: None,
        }
    }

    /// Whether the pool has been told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Who has this PID.
    #[must_use]
    pub fn seat_of(&self, pid: Pid) -> Option<Seat> {
        self.places()
            .find(|(_, place)| place.process.is_some_and(|process| process.pid == pid))
            .map(|(seat, _)| seat)
    }

    /// How many workers there are, by what they do.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for process in self.workers.iter().filter_map(|place| place.process) {
            let count = match process {
                Process { told: Some(_), .. } | Process { stopping: true, .. } => &mut census.stopping,
                Process { ready: Some(_), .. } => &mut census.ready,
                _ => &mut census.starting,
            };
            *count += 1;
        }
        census
    }

    /// Workers that wait for another try, because the last ones failed.
    #[must_use]
    pub fn backing_off(&self, now: Instant) -> u32 {
        let waits =
            |place: &&Place| place.process.is_none() && place.backoff.until().is_some_and(|at| at > now);
        u32::try_from(self.workers.iter().filter(waits).count()).unwrap_or(u32::MAX)
    }

    fn places(&self) -> impl Iterator<Item = (Seat, &Place)> {
        let workers = (0..).map(Seat::Worker).zip(&self.workers);
        workers.chain(self.exporter.as_ref().map(|place| (Seat::Exporter, place)))
    }

    fn place(&mut self, seat: Seat) -> Option<&mut Place> {
        match seat {
            Seat::Worker(slot) => self.workers.get_mut(slot as usize),
            Seat::Exporter => self.exporter.as_mut(),
        }
    }

    fn process(&mut self, pid: Pid) -> Option<&mut Process> {
        let places = self.workers.iter_mut().chain(&mut self.exporter);
        places.filter_map(|place| place.process.as_mut()).find(|process| process.pid == pid)
    }

    /// Takes note of what happened.
    pub fn record(&mut self, event: Event, now: Instant) {
        match event {
            Event::Started(seat, pid) => {
                let process = Process { pid, started: now, ready: None, told: None, stopping: false };
                if let Some(place) = self.place(seat) {
                    place.process = Some(process);
                }
            }
            Event::StartFailed(seat) => {
                if let Some(place) = self.place(seat) {
                    place.backoff.fail(now);
                }
            }
            Event::Ready(pid) => {
                let is_worker = matches!(self.seat_of(pid), Some(Seat::Worker(_)));
                if let Some(process) = self.process(pid) {
                    process.ready.get_or_insert(now);
                    self.ever_ready |= is_worker;
                }
            }
            Event::Stopping(pid) => {
                if let Some(process) = self.process(pid) {
                    process.stopping = true;
                }
            }
            Event::Exited(pid, exit) => self.record_exit(pid, exit, now),
            Event::Signalled(pid, force) => {
                let hurried = self.stopping.is_some_and(|stopping| stopping.hurried);
                if let Some(process) = self.process(pid) {
                    process.told = Some(match force {
                        Force::Term => Told::Term { hurried, at: now },
                        Force::Kill => Told::Kill,
                    });
                }
            }
            Event::Stop => self.record_stop(Outcome::Stopped, now),
        }
    }

    fn record_exit(&mut self, pid: Pid, exit: Exit, now: Instant) {
        let Policy { ready_after, healthy_after, give_up_after, .. } = self.policy;
        let Some(seat) = self.seat_of(pid) else { return };
        let Some(place) = self.place(seat) else { return };
        let Some(process) = place.process.take() else { return };
        let ready = process.became_ready(ready_after, now);
        let was_healthy = ready.is_some_and(|at| now.duration_since(at) >= healthy_after);
        let meant_to = process.told.is_some() || (ready.is_some() && exit == Exit::Code(0));
        if was_healthy || meant_to {
            place.backoff = Backoff::default();
        }
        if !meant_to {
            place.backoff.fail(now);
        }
        let hopeless = place.backoff.failures() >= give_up_after;
        if let Seat::Worker(_) = seat {
            self.ever_ready |= ready.is_some();
            if hopeless && !self.ever_ready && self.stopping.is_none() {
                self.record_stop(Outcome::NeverReady, now);
            }
        }
    }

    fn record_stop(&mut self, outcome: Outcome, now: Instant) {
        let Policy { graceful_timeout, hurry_timeout, .. } = self.policy;
        self.stopping = Some(match self.stopping {
            None => Stopping { outcome, deadline: now + graceful_timeout, hurried: false },
            Some(stopping) => {
                let deadline = stopping.deadline.min(now + hurry_timeout);
                Stopping { deadline, hurried: true, ..stopping }
            }
        });
    }
}

impl Process {
    /// Since when the process serves: since it said so, or since it has lived long enough.
    fn became_ready(&self, ready_after: Duration, now: Instant) -> Option<Instant> {
        let lived = self.started + ready_after;
        self.ready.or_else(|| (lived <= now).then_some(lived))
    }
}
