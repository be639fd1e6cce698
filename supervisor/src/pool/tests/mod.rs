//! Lives of a pool, without a process: what is planned is performed in imagination.
//!
//! `lives` of workers, `successions` of one by another, and `random` histories, which hold what must hold.

mod lives;
mod random;
mod successions;

use std::collections::HashMap;

use super::*;

const POLICY: Policy = Policy {
    workers: 3,
    ready_after: Duration::from_secs(1),
    boot_timeout: Duration::from_secs(20),
    watchdog: Some(Duration::from_secs(300)),
    max_lifetime: Some(Duration::from_secs(1000)),
    surge: 1,
    lanes: true,
    graceful_timeout: Duration::from_secs(10),
    hurry_timeout: Duration::from_secs(2),
    healthy_after: Duration::from_secs(60),
    give_up_after: 4,
};

/// A pool in an imagined world, in which time passes only when it is told to.
struct World {
    pool: Pool,
    now: Instant,
    next_pid: i32,
    alive: HashMap<Pid, Seat>,
    started: u32,
    told: HashMap<Pid, Instant>,
    aborted: Vec<Pid>,
    killed: Vec<Pid>,
    reloads: Vec<ReloadOutcome>,
    upgrades: Vec<ReloadOutcome>,
    outcome: Option<Outcome>,
}

impl World {
    fn new() -> Self {
        Self::with(POLICY)
    }

    fn with(policy: Policy) -> Self {
        let mut world = Self {
            pool: Pool::new(policy, true),
            now: Instant::now(),
            next_pid: 100,
            alive: HashMap::new(),
            started: 0,
            told: HashMap::new(),
            aborted: Vec::new(),
            killed: Vec::new(),
            reloads: Vec::new(),
            upgrades: Vec::new(),
            outcome: None,
        };
        world.perform();
        world
    }

    fn record(&mut self, event: Event) {
        self.pool.record(event, self.now);
        self.perform();
    }

    /// Performs the plan until there is nothing left to do.
    fn perform(&mut self) {
        for _ in 0..100 {
            for event in self.pool.elapsed(self.now) {
                self.pool.record(event, self.now);
            }
            let actions = self.pool.plan(self.now);
            if actions.is_empty() || self.outcome.is_some() {
                return;
            }
            for action in actions {
                match action {
                    Action::Start(seat) => {
                        assert!(!self.alive.values().any(|taken| *taken == seat), "{seat:?} is taken");
                        let pid = Pid::from_raw(self.next_pid);
                        self.next_pid += 1;
                        self.started += 1;
                        self.alive.insert(pid, seat);
                        self.pool.record(Event::Started(seat, pid), self.now);
                    }
                    Action::Signal(pid, force) => {
                        assert!(self.alive.contains_key(&pid), "{pid} is not alive");
                        let ready = self.pool.census().ready;
                        self.pool.record(Event::Signalled(pid, force), self.now);
                        if force == Force::Term {
                            self.told.entry(pid).or_insert(self.now);
                            // Whoever serves is only told to stop if enough others do.
                            let left = self.pool.census().ready;
                            let enough = left == ready || left >= self.pool.target();
                            assert!(enough || self.pool.is_stopping(), "{left} are left to serve");
                        }
                        if force == Force::Abort {
                            self.aborted.push(pid);
                        }
                        if force == Force::Kill {
                            self.killed.push(pid);
                            self.die(pid, Exit::Signal(9));
                        }
                    }
                    Action::EndReload(outcome) => {
                        self.reloads.push(outcome);
                        self.pool.record(Event::ReloadEnded(outcome), self.now);
                    }
                    Action::TakeOver => {
                        // As another process would know it.
                        let words = serde_json::to_string(&self.pool.snapshot(self.now)).unwrap();
                        let snapshot = serde_json::from_str(&words).unwrap();
                        let census = self.pool.census();
                        self.pool = Pool::restore(POLICY, &snapshot, true, self.now);
                        assert_eq!(self.pool.census(), census);
                        self.upgrades.push(ReloadOutcome::Success);
                        self.pool.record(Event::Reload, self.now);
                    }
                    Action::EndUpgrade => {
                        self.upgrades.push(ReloadOutcome::Failure);
                        self.pool.record(Event::UpgradeEnded, self.now);
                    }
                    Action::Finish(outcome) => {
                        assert!(self.alive.is_empty(), "{:?} are left behind", self.alive);
                        self.outcome = Some(outcome);
                    }
                }
            }
        }
        panic!("the plan does not come to an end");
    }

    fn die(&mut self, pid: Pid, exit: Exit) {
        if self.alive.remove(&pid).is_some() {
            self.pool.record(Event::Exited(pid, exit), self.now);
        }
    }

    fn crash(&mut self, pid: Pid) {
        self.die(pid, Exit::Signal(11));
        self.perform();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.pool.next_deadline().filter(|&next| next <= end && next > self.now) {
            self.now = next;
            self.perform();
        }
        self.now = end;
        self.perform();
    }

    fn pid(&self, seat: Seat) -> Pid {
        *self.alive.iter().find(|(_, taken)| **taken == seat).expect("the seat is taken").0
    }

    fn crash_one(&mut self, pid: Pid) {
        self.crash(pid);
    }

    fn pass_the_boot_timeout(&mut self, _: Pid) {
        self.pass(POLICY.boot_timeout);
    }

    /// Every worker says that it is ready and alive.
    fn all_say_ready(&mut self) {
        let workers = self.alive.iter().filter(|(_, seat)| matches!(seat, Seat::Worker(_)));
        let workers: Vec<_> = workers.map(|(pid, _)| *pid).collect();
        for pid in workers {
            self.pool.record(Event::Ready(pid), self.now);
            self.pool.record(Event::Alive(pid), self.now);
        }
        self.perform();
    }

    fn new_workers(&self, old: &[Pid]) -> Vec<Pid> {
        let is_new = |(pid, seat): &(&Pid, &Seat)| matches!(seat, Seat::Worker(_)) && !old.contains(pid);
        self.alive.iter().filter(is_new).map(|(pid, _)| *pid).collect()
    }

    fn workers(&self) -> Vec<Pid> {
        (0..POLICY.workers).map(|slot| self.pid(Seat::Worker(slot))).collect()
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
