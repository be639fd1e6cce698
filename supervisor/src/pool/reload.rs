//! How many workers there are, and how others take their place: a new generation that of the old one, or one
//! worker that of another which has lived long enough.
//!
//! A new worker is started beside the old ones, and only when it is ready one of those is told to stop.
//! So at no time fewer serve than are to. A new worker that is never ready ends the reload: the old
//! ones that are left go on, beside what was replaced already.
//!
//! Workers that have been told to stop do not count any more, however long they take to finish.

use std::cmp::Reverse;

use super::{Action, Force, Place, Pool, Process, Seat};

/// A reload that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reload {
    /// The generation that is to be replaced.
    previous: u64,
    has_failed: bool,
    /// Whether another one was asked for meanwhile.
    pub(super) again: bool,
}

/// How a reload has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// All workers are of the new generation, and ready.
    Success,
    /// A worker of the new generation was never ready.
    Failure,
}

impl ReloadOutcome {
    /// The outcome in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl Pool {
    pub(super) fn begin_reload(&mut self) {
        self.reload = Some(Reload { previous: self.generation, has_failed: false, again: false });
        self.newest += 1;
        self.generation = self.newest;
    }

    /// A worker of the new generation has ended before it was ready.
    pub(super) fn fail_reload(&mut self) {
        if let Some(reload) = &mut self.reload {
            reload.has_failed = true;
        }
    }

    pub(super) fn end_reload(&mut self) {
        let Some(ended) = self.reload.take() else { return };
        if ended.has_failed {
            self.generation = ended.previous;
        }
        self.drop_claims();
        if ended.again {
            self.begin_reload();
        }
    }

    /// How the reload has ended, if it has.
    pub(super) fn reload_outcome(&self) -> Option<ReloadOutcome> {
        let reload = self.reload.as_ref()?;
        if reload.has_failed {
            return Some(ReloadOutcome::Failure);
        }
        let target = self.target as usize;
        let complete = self.wanted() == target && self.ready_new().count() == target;
        complete.then_some(ReloadOutcome::Success)
    }

    /// Starts workers beside those that there are, and tells workers to stop, for there to be as many as
    /// there are to be.
    pub(super) fn plan_size(&self) -> Vec<Action> {
        let (wanted, target) = (self.wanted(), self.target as usize);
        let room = (target + self.surge()).saturating_sub(wanted);
        let starts = self.free_slots().take(room.min(target.saturating_sub(self.wanted_new())));
        let surplus_old = (self.ready_new().count() + self.old().count()).saturating_sub(target);
        // When there are to be fewer all of a sudden, those go that do not serve yet.
        let beyond = wanted.saturating_sub(surplus_old + target + self.surge());
        let surplus_new = beyond.max(self.new_ones().count().saturating_sub(target));
        let mut retired = self.first_to_go(surplus_old, self.old());
        retired.extend(self.first_to_go(surplus_new, self.new_ones()));
        let tell = |process: Process| Action::Signal(process.pid, Force::Term);
        starts.map(|slot| Action::Start(Seat::Worker(slot))).chain(retired.into_iter().map(tell)).collect()
    }

    /// Gives up seats to which somebody was to come, if there are enough without.
    pub(super) fn drop_claims(&mut self) {
        let target = self.target as usize;
        let beyond = self.wanted().saturating_sub(target + self.surge());
        let surplus = beyond.max(self.wanted_new().saturating_sub(target));
        let claims = self.workers.iter_mut().rev().filter(|place| place.is_wanted && place.process.is_none());
        claims.take(surplus).for_each(|place| *place = Place::default());
    }

    fn surge(&self) -> usize {
        if self.old().next().is_some() || self.reload.is_some() { self.policy.surge as usize } else { 0 }
    }

    /// How many workers there are, or are to come.
    pub(super) fn wanted(&self) -> usize {
        self.workers.iter().filter(|place| place.is_wanted).count()
    }

    /// How many of them are not to be replaced. Whoever is to come is of the new generation.
    fn wanted_new(&self) -> usize {
        self.wanted() - self.old().count()
    }

    fn free_slots(&self) -> impl Iterator<Item = u32> {
        let free = (0..).zip(&self.workers).filter(|(_, place)| place.is_free()).map(|(slot, _)| slot);
        free.chain(u32::try_from(self.workers.len()).unwrap_or(u32::MAX)..)
    }

    /// The workers that are to stay, by their slots.
    pub(super) fn kept(&self) -> impl Iterator<Item = (u32, Process)> {
        (0..).zip(&self.workers).filter_map(|(slot, place)| Some((slot, place.kept()?)))
    }

    /// Those that are to be replaced.
    fn old(&self) -> impl Iterator<Item = (u32, Process)> {
        self.kept().filter(|(_, process)| self.is_old(process))
    }

    /// Those that are not.
    fn new_ones(&self) -> impl Iterator<Item = (u32, Process)> {
        self.kept().filter(|(_, process)| !self.is_old(process))
    }

    pub(super) fn is_old(&self, process: &Process) -> bool {
        process.expired.is_some() || (self.reload.is_some() && process.generation != self.generation)
    }

    /// Those that are not to be replaced, and are ready.
    pub(super) fn ready_new(&self) -> impl Iterator<Item = (u32, Process)> {
        self.new_ones().filter(|(_, process)| process.ready.is_some())
    }

    /// So many of them: those first that do not serve yet, then those whose lane needs them no more, and then those
    /// in the highest slots, for slots are to stay low.
    fn first_to_go(&self, count: usize, workers: impl Iterator<Item = (u32, Process)>) -> Vec<Process> {
        if count == 0 {
            return Vec::new();
        }
        let rank = |(slot, process): (u32, Process)| {
            ((process.ready.is_some(), !self.is_relieved(&process), Reverse(slot)), process)
        };
        let mut ranked: Vec<_> = workers.map(rank).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().take(count).map(|(_, process)| process).collect()
    }
}
