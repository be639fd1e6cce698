//! What is to be done now, and when to look again.

use std::time::Instant;

use super::{Action, Event, Force, Place, Pool, Process, Seat, Stopping, Told};

impl Pool {
    /// The actions that bring the pool closer to what it should be at `now`.
    ///
    /// Perform them in order, [`record`](Self::record) what came of each, and plan again.
    #[must_use]
    pub fn plan(&self, now: Instant) -> Vec<Action> {
        match self.stopping {
            None => self.places().filter_map(|(seat, place)| start(seat, place, now)).collect(),
            Some(stopping) => self.plan_stop(stopping, now),
        }
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
                _ if self.kill_at(*seat, process, stopping).is_some_and(|at| at <= now) => {
                    signal(Force::Kill)
                }
                None => signal(Force::Term),
                Some(Told::Term { hurried, .. }) if hurried != stopping.hurried => signal(Force::Term),
                Some(Told::Term { .. }) => None,
            }
        };
        told.iter().filter_map(tell).collect()
    }

    /// The workers; and when the last of them is gone, the exporter. Until then it serves, so that what
    /// they counted can be scraped.
    fn to_be_stopped(&self) -> impl Iterator<Item = (Seat, Process)> {
        let occupied = self.places().filter_map(|(seat, place)| Some((seat, place.process?)));
        let exporter_only = self.workers.iter().all(|place| place.process.is_none());
        occupied.filter(move |(seat, _)| exporter_only || *seat != Seat::Exporter)
    }

    /// When a process that does not stop is killed. The exporter has its own time, counted from when it
    /// was told: the workers may have taken all of theirs.
    fn kill_at(&self, seat: Seat, process: &Process, stopping: Stopping) -> Option<Instant> {
        match (seat, process.told) {
            (_, Some(Told::Kill)) => None,
            (Seat::Worker(_), _) => Some(stopping.deadline),
            (Seat::Exporter, Some(Told::Term { at, .. })) => Some(at + self.policy.hurry_timeout),
            (Seat::Exporter, None) => None,
        }
    }

    /// What time alone has brought about, to be recorded like anything that happened.
    #[must_use]
    pub fn elapsed(&self, now: Instant) -> Vec<Event> {
        let ready = |process: &Process| {
            process.ready.is_none() && process.became_ready(self.policy.ready_after, now).is_some()
        };
        let workers = self.workers.iter().filter_map(|place| place.process);
        workers.filter(ready).map(|process| Event::Ready(process.pid)).collect()
    }

    /// When there may be something to do even if nothing happens; `None` if never.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let workers = self.workers.iter().filter_map(|place| place.process);
        let turns_ready = workers
            .filter(|process| process.ready.is_none())
            .map(|process| process.started + self.policy.ready_after);
        let to_do: Vec<_> = match self.stopping {
            None => {
                let vacant = self.places().filter(|(_, place)| place.process.is_none());
                vacant.filter_map(|(_, place)| place.backoff.until()).collect()
            }
            Some(stopping) => self
                .to_be_stopped()
                .filter_map(|(seat, process)| self.kill_at(seat, &process, stopping))
                .collect(),
        };
        turns_ready.chain(to_do).min()
    }
}

fn start(seat: Seat, place: &Place, now: Instant) -> Option<Action> {
    let due = place.backoff.until().is_none_or(|at| at <= now);
    (place.process.is_none() && due).then_some(Action::Start(seat))
}
