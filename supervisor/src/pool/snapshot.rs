//! What one supervisor tells its successor about the processes that it leaves to it.
//!
//! Times are ages, because the successor's clock has its own zero. A reload that goes on is not told: there is
//! no hand-over before it has ended.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::place::{Place, Process, Told};
use super::{Backoff, Expiry, Pid, Policy, Pool};

/// A pool, in words that outlive a process.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Snapshot {
    /// How many workers were configured, and how many there are to be since.
    configured: u32,
    target: u32,
    workers: Vec<PlaceSnapshot>,
    exporter: Option<PlaceSnapshot>,
    ever_ready: bool,
    says_ready: bool,
    generation: u64,
    newest: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct PlaceSnapshot {
    process: Option<ProcessSnapshot>,
    is_wanted: bool,
    failures: u32,
    /// How long until it is tried again.
    wait: Option<Duration>,
}

#[derive(Debug, Deserialize, Serialize)]
struct ProcessSnapshot {
    pid: i32,
    generation: u64,
    lane: u32,
    started: Duration,
    ready: Option<Duration>,
    alive: Option<Duration>,
    expired: Option<Expiry>,
    aborted: bool,
    told: Option<ToldSnapshot>,
    stopping: bool,
}

#[derive(Debug, Deserialize, Serialize)]
enum ToldSnapshot {
    Term(Duration),
    Abort(Duration),
    Kill,
}

impl Pool {
    /// Everything that a successor needs to know at `now`.
    pub(crate) fn snapshot(&self, now: Instant) -> Snapshot {
        let place = |place: &Place| PlaceSnapshot::of(place, now);
        Snapshot {
            configured: self.policy.workers,
            target: self.target,
            workers: self.workers.iter().map(place).collect(),
            exporter: self.exporter.as_ref().map(place),
            ever_ready: self.ever_ready,
            says_ready: self.says_ready,
            generation: self.generation,
            newest: self.newest,
        }
    }

    /// The pool of which a predecessor has told at `now`, kept by `policy` from here on.
    ///
    /// There are to be as many workers as there were, unless `policy` has another number than the
    /// predecessor's had. The exporter is to be replaced by one of this program.
    pub(crate) fn restore(policy: Policy, snapshot: &Snapshot, exporter: bool, now: Instant) -> Self {
        let mut pool = Self::new(policy, exporter);
        pool.target = if policy.workers == snapshot.configured { snapshot.target } else { policy.workers };
        pool.workers = snapshot.workers.iter().map(|place| place.restore(now)).collect();
        if let Some(place) = &snapshot.exporter {
            let mut place = place.restore(now);
            place.is_wanted = exporter;
            if let Some(process) = &mut place.process {
                process.expired = Some(Expiry::Upgrade);
            }
            pool.exporter = Some(place);
        }
        pool.ever_ready = snapshot.ever_ready;
        pool.says_ready = snapshot.says_ready;
        pool.generation = snapshot.generation;
        pool.newest = snapshot.newest;
        pool
    }
}

impl PlaceSnapshot {
    fn of(place: &Place, now: Instant) -> Self {
        Self {
            process: place.process.as_ref().map(|process| ProcessSnapshot::of(process, now)),
            is_wanted: place.is_wanted,
            failures: place.backoff.failures(),
            wait: place.backoff.until().map(|at| at.saturating_duration_since(now)),
        }
    }

    fn restore(&self, now: Instant) -> Place {
        Place {
            process: self.process.as_ref().map(|process| process.restore(now)),
            backoff: Backoff::resumed(self.failures, self.wait.map(|wait| now + wait)),
            is_wanted: self.is_wanted,
        }
    }
}

impl ProcessSnapshot {
    fn of(process: &Process, now: Instant) -> Self {
        let age = |at: Instant| now.saturating_duration_since(at);
        Self {
            pid: process.pid.as_raw(),
            generation: process.generation,
            lane: process.lane,
            started: age(process.started),
            ready: process.ready.map(age),
            alive: process.alive.map(age),
            expired: process.expired,
            aborted: process.aborted,
            told: process.told.map(|told| match told {
                Told::Term { at, .. } => ToldSnapshot::Term(age(at)),
                Told::Abort { at } => ToldSnapshot::Abort(age(at)),
                Told::Kill => ToldSnapshot::Kill,
            }),
            stopping: process.stopping,
        }
    }

    fn restore(&self, now: Instant) -> Process {
        // An age from before the machine was started is nonsense; what it means is: long ago.
        let at = |age: Duration| now.checked_sub(age).unwrap_or(now);
        Process {
            pid: Pid::from_raw(self.pid),
            generation: self.generation,
            lane: self.lane,
            started: at(self.started),
            ready: self.ready.map(at),
            alive: self.alive.map(at),
            expired: self.expired,
            aborted: self.aborted,
            told: self.told.as_ref().map(|told| match told {
                ToldSnapshot::Term(age) => Told::Term { hurried: false, at: at(*age) },
                ToldSnapshot::Abort(age) => Told::Abort { at: at(*age) },
                ToldSnapshot::Kill => Told::Kill,
            }),
            stopping: self.stopping,
        }
    }
}
