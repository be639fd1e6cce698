//! Lanes: which of a port's queues a worker has, where each has one of its own.
//!
//! What waits in a queue waits for whoever has that lane, and for nobody else. So there are as many lanes as there
//! are to be workers; a successor has the lane of whom it succeeds, and the old one is told to stop only when
//! the new one of its lane is ready. Slots cannot be what decides that: beside an old worker, the new one has
//! another slot.

use std::cmp::Reverse;

use super::{Pid, Pool, Process};

/// How it is with a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Somebody serves it who is to go on.
    Served,
    /// Somebody has it, or is to come.
    Held,
    /// Nobody has it any more, and nobody is to come.
    Left,
}

impl Pool {
    /// The lane of the worker that is started next: one that nobody has, or else that of an old worker, in the
    /// order in which they go.
    #[must_use]
    pub fn next_lane(&self) -> u32 {
        // By new workers, by all of them, and by the highest slot.
        let mut holders = vec![(0_u32, 0_u32, Reverse(0)); self.target as usize];
        for (slot, process) in self.kept() {
            if let Some((new, all, highest)) = holders.get_mut(process.lane as usize) {
                *new += u32::from(!self.is_old(&process));
                *all += 1;
                *highest = (*highest).min(Reverse(slot));
            }
        }
        (0..).zip(holders).min_by_key(|(_, holders)| *holders).map_or(0, |(lane, _)| lane)
    }

    /// All lanes that are to be, or that somebody has still.
    #[must_use]
    pub fn lanes(&self) -> Vec<Lane> {
        let mut lanes = vec![Lane::Held; self.target as usize];
        for place in &self.workers {
            let Some(process) = place.process else { continue };
            let lane = process.lane as usize;
            if lane >= lanes.len() {
                lanes.resize(lane + 1, Lane::Left);
            }
            let serves = place.is_wanted && process.serves();
            if serves || lanes[lane] == Lane::Left {
                lanes[lane] = if serves { Lane::Served } else { Lane::Held };
            }
        }
        lanes
    }

    /// Whether a worker's lane needs it no more: somebody else serves it, or it is to be no more.
    pub(super) fn is_relieved(&self, process: &Process) -> bool {
        let relieves = |other: &Process| other.lane == process.lane && other.pid != process.pid;
        let is_served = || self.ready_new().any(|(_, other)| relieves(&other));
        self.policy.lanes && (process.lane >= self.target || is_served())
    }

    /// A worker whose lane needs it no more, while there are enough workers and one of the lanes has none: so it can
    /// come if a worker dies during a reload, or before there are to be fewer.
    pub(super) fn misplaced(&self) -> Option<Pid> {
        let changes = self.reload.is_some() || self.stopping.is_some();
        if !self.policy.lanes || changes || self.wanted() != self.target as usize {
            return None;
        }
        let mut workers: Vec<_> = self.kept().collect();
        let is_settled = workers.len() == self.target as usize;
        if !is_settled || workers.iter().any(|(_, process)| process.expired.is_some()) {
            return None;
        }
        // Of two in one lane, the one in the lower slot stays.
        workers.sort_by_key(|(slot, process)| (process.lane, *slot));
        let has_company =
            workers.windows(2).filter(|pair| pair[0].1.lane == pair[1].1.lane).map(|pair| pair[1].1);
        let beyond =
            workers.iter().map(|(_, process)| *process).filter(|process| process.lane >= self.target);
        has_company.chain(beyond).map(|process| process.pid).next()
    }
}
