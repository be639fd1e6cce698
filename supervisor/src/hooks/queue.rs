//! Which hook runs next, and until when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Moment, Occasion};
use crate::pool::Pid;

/// No more wait: what happens so often has hooks that are too slow.
const CAPACITY: usize = 256;
/// A hook that was killed and does not die is forgotten after so long.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);
/// What is left of all times once somebody is in a hurry.
const HURRY: Duration = Duration::from_secs(2);

/// Hooks by their numbers, one of which runs.
#[derive(Debug)]
pub(super) struct Queue {
    timeout: Duration,
    waiting: VecDeque<(usize, Occasion)>,
    running: Option<Running>,
    /// From when on only those of the end begin.
    last_call: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    pid: Pid,
    occasion: Occasion,
    deadline: Instant,
    killed: bool,
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing for now.
    Wait,
    /// Start this hook.
    Start(usize, Occasion),
    /// Do not start a hook.
    Skip(Occasion),
    /// Kill a hook that takes too long.
    Kill(Pid),
    /// Do not wait for a hook that does not die.
    Forget(Pid, Occasion),
}

impl Queue {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, waiting: VecDeque::new(), running: None, last_call: None }
    }

    /// Tells whether there was room.
    pub(super) fn add(&mut self, hook: usize, occasion: Occasion) -> bool {
        // There is always room for the end.
        let has_room = self.waiting.len() < CAPACITY || occasion.moment == Moment::OnExit;
        if has_room {
            self.waiting.push_back((hook, occasion));
        }
        has_room
    }

    /// From now on a hook that begins may take so long.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Lets those that wait go.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Occasion> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, occasion)| occasion)
    }

    /// What is to be done now. To be asked again until there is nothing.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if let Some(running) = &mut self.running {
            if now < running.deadline {
                return Step::Wait;
            }
            if !running.killed {
                running.killed = true;
                running.deadline = now + KILL_TIMEOUT;
                return Step::Kill(running.pid);
            }
            let (pid, occasion) = (running.pid, running.occasion);
            self.running = None;
            return Step::Forget(pid, occasion);
        }
        match self.waiting.pop_front() {
            None => Step::Wait,
            Some((_, occasion))
                if occasion.moment != Moment::OnExit && self.last_call.is_some_and(|at| at <= now) =>
            {
                Step::Skip(occasion)
            }
            Some((hook, occasion)) => Step::Start(hook, occasion),
        }
    }

    /// What was to be started is.
    pub(super) fn started(&mut self, pid: Pid, occasion: Occasion, now: Instant) {
        self.running = Some(Running { pid, occasion, deadline: now + self.timeout, killed: false });
    }

    /// If a child that has ended was the hook that ran: what it was for, and whether it was killed.
    pub(super) fn ended(&mut self, pid: Pid) -> Option<(Occasion, bool)> {
        let ended = self.running.take_if(|running| running.pid == pid)?;
        Some((ended.occasion, ended.killed))
    }

    /// When there is something to do even if nothing happens.
    pub(super) fn next(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.deadline)
    }

    /// What runs and what waits.
    pub(super) fn occasions(&self) -> impl Iterator<Item = &Occasion> {
        let running = self.running.iter().map(|running| &running.occasion);
        running.chain(self.waiting.iter().map(|(_, occasion)| occasion))
    }

    pub(super) fn finish(&mut self, now: Instant) {
        self.last_call.get_or_insert(now + self.timeout);
    }

    pub(super) fn hurry(&mut self, now: Instant) {
        self.timeout = self.timeout.min(HURRY);
        let soon = now + self.timeout;
        if let Some(running) = &mut self.running {
            running.deadline = running.deadline.min(soon);
        }
        self.last_call = self.last_call.map(|at| at.min(soon));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn occasion(moment: Moment) -> Occasion {
        Occasion::of_all(moment, 0)
    }

    fn queue(moments: &[Moment]) -> Queue {
        let mut queue = Queue::new(10 * SECOND);
        for (hook, &moment) in moments.iter().enumerate() {
            assert!(queue.add(hook, occasion(moment)));
        }
        queue
    }

    #[test]
    fn hooks_run_one_after_another_in_the_order_of_what_happened() {
        let (start, [one, two]) = (Instant::now(), [Pid::from_raw(1), Pid::from_raw(2)]);
        let mut queue = queue(&[Moment::PreFork, Moment::PostFork]);
        assert_eq!(queue.step(start), Step::Start(0, occasion(Moment::PreFork)));
        queue.started(one, occasion(Moment::PreFork), start);
        assert_eq!(queue.step(start), Step::Wait);
        assert_eq!(queue.ended(two), None);
        assert_eq!(queue.ended(one), Some((occasion(Moment::PreFork), false)));
        assert_eq!(queue.step(start), Step::Start(1, occasion(Moment::PostFork)));
        queue.started(two, occasion(Moment::PostFork), start);
        assert_eq!(queue.ended(two), Some((occasion(Moment::PostFork), false)));
        assert_eq!((queue.step(start), queue.occasions().count()), (Step::Wait, 0));
    }

    #[test]
    fn a_hook_that_takes_too_long_is_killed_and_at_last_forgotten() {
        let (start, pid) = (Instant::now(), Pid::from_raw(1));
        let mut queue = queue(&[Moment::Reload, Moment::Reload]);
        queue.step(start);
        queue.started(pid, occasion(Moment::Reload), start);
        assert_eq!(queue.next(), Some(start + 10 * SECOND));
        assert_eq!(queue.step(start + 9 * SECOND), Step::Wait);
        assert_eq!(queue.step(start + 10 * SECOND), Step::Kill(pid));
        assert_eq!(queue.step(start + 10 * SECOND), Step::Wait);
        assert_eq!(queue.step(start + 11 * SECOND), Step::Forget(pid, occasion(Moment::Reload)));
        assert_eq!(queue.step(start + 11 * SECOND), Step::Start(1, occasion(Moment::Reload)));
    }

    #[test]
    fn at_the_end_those_that_come_too_late_are_skipped_but_for_the_last() {
        let start = Instant::now();
        let mut queue = queue(&[Moment::WorkerExit, Moment::WorkerExit]);
        assert_eq!(queue.step(start), Step::Start(0, occasion(Moment::WorkerExit)));
        queue.started(Pid::from_raw(1), occasion(Moment::WorkerExit), start);
        queue.add(2, occasion(Moment::OnExit));
        queue.finish(start);
        assert_eq!(queue.step(start + 10 * SECOND), Step::Kill(Pid::from_raw(1)));
        assert_eq!(queue.ended(Pid::from_raw(1)), Some((occasion(Moment::WorkerExit), true)));
        assert_eq!(queue.step(start + 10 * SECOND), Step::Skip(occasion(Moment::WorkerExit)));
        assert_eq!(queue.step(start + 10 * SECOND), Step::Start(2, occasion(Moment::OnExit)));
    }

    #[test]
    fn in_a_hurry_nobody_has_more_than_two_seconds() {
        let (start, pid) = (Instant::now(), Pid::from_raw(1));
        let mut queue = queue(&[Moment::OnExit]);
        queue.step(start);
        queue.started(pid, occasion(Moment::OnExit), start);
        queue.hurry(start + SECOND);
        assert_eq!(queue.step(start + 3 * SECOND), Step::Kill(pid));
    }

    #[test]
    fn no_more_wait_than_there_is_room_for_but_the_end_always_comes() {
        let mut queue = queue(&[Moment::WorkerExit; CAPACITY]);
        assert!(!queue.add(0, occasion(Moment::WorkerExit)));
        assert!(queue.add(0, occasion(Moment::OnExit)));
    }
}
