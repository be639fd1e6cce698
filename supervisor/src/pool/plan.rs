//! What is to be done now, and when to look again.

use std::time::Instant;

use super::{Action, Event, Force, Pool, Process, Seat, Stopping, Told};

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
        let overdue = self.occupied().filter(|(seat, process)| {
            process.told != Some(Told::Kill) && self.kill_at(*seat, process).is_some_and(|at| at <= now)
        });
        let kills = overdue.map(|(_, process)| Action::Signal(process.pid, Force::Kill));
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
                Some(Told::Term { .. }) => None,
            }
        };
        told.iter().filter_map(tell).collect()
    }

    fn occupied(&self) -> impl Iterator<Item = (Seat, Process)> {
        self.places().filter_map(|(seat, place)| Some((seat, place.process?)))
    }

    /// The workers; and when the last of them is gone, the exporter. Until then it serves, so that what
    /// they counted can be scraped.
    fn to_be_stopped(&self) -> impl Iterator<Item = (Seat, Process)> {
        let exporter_only = self.workers.iter().all(|place| place.process.is_none());
        self.occupied().filter(move |(seat, _)| exporter_only || *seat != Seat::Exporter)
    }

    /// When a process that neither stops nor becomes ready is killed.
    ///
    /// The exporter has its own time to stop, counted from when it was told: the workers may have taken all
    /// of theirs.
    fn kill_at(&self, seat: Seat, process: &Process) -> Option<Instant> {
        let own = match (seat, process.told) {
            (_, Some(Told::Kill)) => return None,
            (Seat::Worker(_), Some(Told::Term { at, .. })) => Some(at + self.policy.graceful_timeout),
            (Seat::Worker(_), None) if process.ready.is_none() => {
                Some(process.started + self.policy.boot_timeout)
            }
            (Seat::Exporter, Some(Told::Term { at, .. })) => Some(at + self.policy.hurry_timeout),
            (_, None) => None,
        };
        let common = self.stopping.filter(|_| seat != Seat::Exporter).map(|stopping| stopping.deadline);
        own.into_iter().chain(common).min()
    }

    /// What time alone has brought about, to be recorded like anything that happened.
    #[must_use]
    pub fn elapsed(&self, now: Instant) -> Vec<Event> {
        let ready = |process: &Process| {
            process.ready.is_none() && process.became_ready(self.presumed_after(), now).is_some()
        };
        let workers = self.workers.iter().filter_map(|place| place.process);
        workers.filter(ready).map(|process| Event::Presumed(process.pid)).collect()
    }

    /// When there may be something to do even if nothing happens; `None` if never.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let workers = self.workers.iter().filter_map(|place| place.process);
        let presumed_after = self.presumed_after();
        let turns_ready = workers
            .filter(|process| process.ready.is_none())
            .filter_map(|process| Some(process.started + presumed_after?));
        let vacant = self.places().filter(|(_, place)| place.is_wanted && place.process.is_none());
        let starts = vacant.filter(|_| !self.is_stopping()).filter_map(|(_, place)| place.backoff.until());
        let kills = self.occupied().filter_map(|(seat, process)| self.kill_at(seat, &process));
        turns_ready.chain(starts).chain(kills).min()
    }
}
