//! What is to be done now, and when to look again.

use std::time::{Duration, Instant};

use super::backoff::jittered;
use super::{Action, Event, Expiry, Force, Pool, Process, Seat, Stopping, Told};

/// How long a worker may take to abort before it is killed.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

impl Pool {
    /// The actions that bring the pool closer to what it should be at `now`.
    ///
    /// Perform them in order, [`record`](Self::record) what came of each, and plan again.
    #[must_use]
    pub fn plan(&self, now: Instant) -> Vec<Action> {
        match self.stopping {
            None => self.plan_life(now),
            Some(stopping) => self.plan_stop(stopping, now),
        }
    }

    fn plan_life(&self, now: Instant) -> Vec<Action> {
        // Everything else depends on whether there is a reload.
        if let Some(outcome) = self.reload_outcome() {
            return vec![Action::EndReload(outcome)];
        }
        if let Some(action) = self.plan_upgrade() {
            return vec![action];
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let force = |seat, process: &Process| match seat {
            _ if is_due(self.kill_at(seat, process)) => Some(Force::Kill),
            Seat::Worker(_) if is_due(self.abort_at(process)) => Some(Force::Abort),
            Seat::Exporter if process.expired.is_some() && process.told.is_none() => Some(Force::Term),
            _ => None,
        };
        let kills = self
            .occupied()
            .filter_map(|(seat, process)| Some(Action::Signal(process.pid, force(seat, &process)?)));
        let due = self.places().filter(|(_, place)| place.is_due(now));
        let mut actions: Vec<_> = kills.chain(due.map(|(seat, _)| Action::Start(seat))).collect();
        actions.extend(self.plan_size());
        actions
    }

    fn plan_stop(&self, stopping: Stopping, now: Instant) -> Vec<Action> {
        let told: Vec<_> = self.to_be_stopped().collect();
        if told.is_empty() {
            return vec![Action::Finish(stopping.outcome)];
        }
        let tell = |(seat, process): &(Seat, Process)| {
            let signal = |force| Some(Action::Signal(process.pid, force));
            match process.told {
                Some(Told::Kill) => None,
                _ if self.kill_at(*seat, process).is_some_and(|at| at <= now) => signal(Force::Kill),
                None => signal(Force::Term),
                Some(Told::Term { hurried, .. }) if hurried != stopping.hurried => signal(Force::Term),
                Some(Told::Term { .. } | Told::Abort { .. }) => None,
            }
        };
        told.iter().filter_map(tell).collect()
    }

    fn occupied(&self) -> impl Iterator<Item = (Seat, Process)> {
        self.places().filter_map(|(seat, place)| Some((seat, place.process?)))
    }

    /// The workers; and when the last of them is gone, the exporter. Until then it serves, so that what
    /// they counted can be scraped, unless it has been told to stop already.
    fn to_be_stopped(&self) -> impl Iterator<Item = (Seat, Process)> {
        let exporter_only = self.workers.iter().all(|place| place.process.is_none());
        let stops = move |(seat, process): &(Seat, Process)| {
            exporter_only || *seat != Seat::Exporter || process.told.is_some()
        };
        self.occupied().filter(stops)
    }

    /// When a process that neither stops nor becomes ready is killed.
    ///
    /// The exporter has its own time to stop, counted from when it was told: the workers may have taken all
    /// of theirs.
    fn kill_at(&self, seat: Seat, process: &Process) -> Option<Instant> {
        let own = match (seat, process.told) {
            (_, Some(Told::Kill)) => return None,
            (Seat::Worker(_) | Seat::Trial, Some(Told::Term { at, .. })) => {
                Some(at + self.policy.graceful_timeout)
            }
            (_, Some(Told::Abort { at })) => Some(at + ABORT_TIMEOUT),
            (Seat::Trial, None) => Some(process.started + self.policy.boot_timeout),
            (Seat::Worker(_), None) if process.ready.is_none() => {
                Some(process.started + self.policy.boot_timeout)
            }
            (Seat::Exporter, Some(Told::Term { at, .. })) => Some(at + self.policy.hurry_timeout),
            (_, None) => None,
        };
        let common = self.stopping.filter(|_| seat != Seat::Exporter).map(|stopping| stopping.deadline);
        own.into_iter().chain(common).min()
    }

    /// When a worker that serves is taken to hang, unless it says before that it is alive.
    fn abort_at(&self, process: &Process) -> Option<Instant> {
        let last = process.ready?.max(process.alive.unwrap_or(process.started));
        Some(last + self.policy.watchdog?).filter(|_| process.told.is_none())
    }

    /// What time alone has brought about, to be recorded like anything that happened.
    #[must_use]
    pub fn elapsed(&self, now: Instant) -> Vec<Event> {
        let ready = |process: &Process| {
            process.ready.is_none() && process.became_ready(self.presumed_after(), now).is_some()
        };
        let expired = |process: &Process| self.expires_at(process).is_some_and(|at| at <= now);
        let workers = self.workers.iter().filter_map(|place| place.process);
        let presumed = workers.clone().filter(ready).map(|process| Event::Presumed(process.pid));
        let lived = workers.filter(expired).map(|process| Event::Expired(process.pid, Expiry::Lifetime));
        let misplaced = self.misplaced().map(|pid| Event::Expired(pid, Expiry::Misplaced));
        presumed.chain(lived).chain(misplaced).collect()
    }

    /// When a worker has lived long enough.
    fn expires_at(&self, process: &Process) -> Option<Instant> {
        let lifetime = jittered(self.policy.max_lifetime?, process.pid.as_raw().unsigned_abs());
        (process.expired.is_none() && process.told.is_none()).then_some(process.started + lifetime)
    }

    /// When there may be something to do even if nothing happens; `None` if never.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let workers = self.workers.iter().filter_map(|place| place.process);
        let presumed_after = self.presumed_after();
        let turns_ready = workers
            .clone()
            .filter(|process| process.ready.is_none())
            .filter_map(|process| Some(process.started + presumed_after?));
        let vacant = self.places().filter(|(_, place)| place.is_wanted && place.process.is_none());
        let starts = vacant.filter(|_| !self.is_stopping()).filter_map(|(_, place)| place.backoff.until());
        let kills = self.occupied().filter_map(|(seat, process)| self.kill_at(seat, &process));
        let serving = workers.filter(|_| !self.is_stopping());
        let ends = serving.flat_map(|process| [self.abort_at(&process), self.expires_at(&process)]);
        turns_ready.chain(starts).chain(kills).chain(ends.flatten()).min()
    }
}
