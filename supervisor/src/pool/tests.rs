//! Lives of a pool, without a process: what is planned is performed in imagination.

use std::collections::HashMap;

use proptest::prelude::*;

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

#[test]
fn every_seat_is_taken_at_once_and_taken_again_after_a_death() {
    let mut world = World::new();
    assert_eq!(world.alive.len(), 4);
    world.pass(seconds(2.0));
    let worker = world.pid(Seat::Worker(1));
    world.crash(worker);
    assert_ne!(world.pid(Seat::Worker(1)), worker);
    let exporter = world.pid(Seat::Exporter);
    world.crash(exporter);
    assert_ne!(world.pid(Seat::Exporter), exporter);
}

#[test]
fn a_worker_is_ready_when_it_says_so_or_has_lived_long_enough() {
    let mut world = World::new();
    assert_eq!(world.pool.census(), Census { starting: 3, ready: 0, stopping: 0 });
    world.pass(seconds(1.0));
    assert_eq!(world.pool.census(), Census { starting: 0, ready: 3, stopping: 0 });
    let mut world = World::new();
    let eager = world.pid(Seat::Worker(0));
    world.record(Event::Ready(eager));
    assert_eq!(world.pool.census(), Census { starting: 2, ready: 1, stopping: 0 });
    // It speaks, so the others will.
    world.pass(seconds(5.0));
    assert_eq!(world.pool.census(), Census { starting: 2, ready: 1, stopping: 0 });
}

#[test]
fn a_worker_that_is_expected_to_speak_and_does_not_is_killed() {
    let mut world = World::new();
    let eager = world.pid(Seat::Worker(0));
    world.record(Event::Ready(eager));
    world.pass(seconds(19.9));
    assert_eq!(world.killed.len(), 0);
    world.pass(seconds(0.1));
    assert_eq!(world.killed.len(), 2);
    assert!(world.alive.contains_key(&eager));
}

#[test]
fn a_worker_that_hangs_is_aborted_then_killed_and_replaced() {
    let mut world = World::new();
    world.all_say_ready();
    let [hung, lively, aborts] = world.workers().try_into().unwrap();
    for _ in 0..299 {
        world.pass(seconds(1.0));
        world.record(Event::Alive(lively));
    }
    assert_eq!(world.aborted.len(), 0);
    world.pass(seconds(1.0));
    world.crash(aborts);
    world.aborted.sort();
    assert_eq!((world.aborted.clone(), world.killed.len()), (vec![hung, aborts], 0));
    world.pass(seconds(1.0));
    assert_eq!(world.killed, [hung]);
    assert!(world.alive.len() == 4 && world.workers().contains(&lively));
}

#[test]
fn nobody_is_taken_to_hang_because_the_supervisor_did() {
    let mut world = World::new();
    world.all_say_ready();
    // Stopped, as with its machine; nothing that is due is done meanwhile.
    world.now += 2 * POLICY.watchdog.unwrap();
    world.record(Event::Stalled);
    assert_eq!(world.aborted.len(), 0);
    world.pass(POLICY.watchdog.unwrap());
    assert_eq!(world.aborted.len(), 3, "from then on they have their time again");
}

#[test]
fn a_worker_that_has_lived_long_enough_is_replaced_by_one_that_is_ready() {
    let mut world = World::new();
    world.all_say_ready();
    let old = world.workers();
    for _ in 0..1000 {
        world.pass(seconds(1.0));
        let census = world.pool.census();
        assert!(census.ready == 3 && census.starting <= 1, "{census:?}");
        world.all_say_ready();
    }
    assert!(old.iter().all(|pid| world.told.contains_key(pid)));
    // They did not go at the same moment.
    let first = world.told.values().min().unwrap();
    let last = old.iter().map(|pid| world.told[pid]).max().unwrap();
    assert!(last.duration_since(*first) > seconds(5.0));
    assert_eq!((world.aborted.len(), world.pool.generation()), (0, 0));
}

#[test]
fn a_worker_is_not_given_up_for_one_that_never_comes_up() {
    let mut world = World::new();
    world.all_say_ready();
    let [first, ..] = world.workers()[..] else { panic!() };
    let old = world.workers();
    world.record(Event::Expired(first, Expiry::Memory));
    for _ in 0..50 {
        for new in world.new_workers(&old) {
            world.crash(new);
        }
        world.pass(seconds(1.0));
        old.iter().for_each(|&pid| world.record(Event::Alive(pid)));
    }
    assert_eq!(world.told.len(), 0);
    for _ in 0..31 {
        world.pass(seconds(1.0));
        world.all_say_ready();
    }
    assert!(world.told.contains_key(&first) && world.told.len() == 1);
}

#[test]
fn a_reload_replaces_a_worker_only_by_one_that_is_ready() {
    let mut world = World::new();
    world.all_say_ready();
    let old = world.workers();
    world.record(Event::Reload);
    for done in 0..3 {
        let new: Vec<_> = world.new_workers(&old);
        assert_eq!(new.len(), done + 1, "one at a time");
        assert_eq!(world.told.len(), done, "nobody is told to stop before");
        world.all_say_ready();
    }
    assert_eq!((world.reloads.as_slice(), world.pool.generation()), ([ReloadOutcome::Success].as_slice(), 1));
    assert!(old.iter().all(|pid| world.told.contains_key(pid)));
    // Those that were told may take their time, and no more than that.
    assert_eq!(world.alive.len(), 7);
    world.pass(seconds(10.0));
    assert_eq!((world.alive.len(), world.killed.len()), (4, 3));
}

#[test]
fn an_upgrade_is_tried_before_it_is_made_and_replaces_everybody() {
    let mut world = World::new();
    world.all_say_ready();
    world.record(Event::Scale(1));
    world.all_say_ready();
    let (old, exporter) = (world.new_workers(&[]), world.pid(Seat::Exporter));
    world.record(Event::Upgrade);
    assert_eq!((world.upgrades.len(), old.len()), (0, 4));
    let trial = world.pid(Seat::Trial);
    world.crash(trial);
    assert_eq!(world.upgrades, [ReloadOutcome::Failure]);
    assert_eq!((world.new_workers(&old).len(), world.told.len()), (0, 0), "nothing has changed");
    world.record(Event::Upgrade);
    let trial = world.pid(Seat::Trial);
    world.die(trial, Exit::Code(0));
    world.perform();
    assert_eq!(world.upgrades, [ReloadOutcome::Failure, ReloadOutcome::Success]);
    for _ in 0..4 {
        world.all_say_ready();
    }
    assert_eq!(world.reloads, [ReloadOutcome::Success]);
    assert_eq!(world.pool.target(), 4, "what was scaled stays so");
    assert!(world.told.contains_key(&exporter) && old.iter().all(|pid| world.told.contains_key(pid)));
    world.crash(exporter);
    assert_ne!(world.pid(Seat::Exporter), exporter, "at once");
}

#[test]
fn a_trial_that_hangs_is_killed_and_one_at_a_reload_waits_for_its_end() {
    let mut world = World::new();
    world.all_say_ready();
    world.record(Event::Upgrade);
    world.pass(POLICY.boot_timeout);
    assert_eq!((world.upgrades.as_slice(), world.killed.len()), ([ReloadOutcome::Failure].as_slice(), 1));
    world.record(Event::Reload);
    world.record(Event::Upgrade);
    let trial = world.pid(Seat::Trial);
    world.die(trial, Exit::Code(0));
    world.perform();
    assert_eq!(world.upgrades.len(), 1);
    for _ in 0..3 {
        world.all_say_ready();
    }
    assert_eq!((world.reloads.len(), world.upgrades.len()), (1, 2));
}

#[test]
fn a_reload_whose_first_worker_fails_changes_nothing() {
    for fail in [World::crash_one, World::pass_the_boot_timeout] {
        let mut world = World::new();
        world.all_say_ready();
        let old = world.workers();
        world.record(Event::Reload);
        let new = world.new_workers(&old)[0];
        fail(&mut world, new);
        assert_eq!(world.reloads, [ReloadOutcome::Failure]);
        world.pass(seconds(100.0));
        assert_eq!((world.workers(), world.told.len(), world.pool.generation()), (old.clone(), 0, 0));
        // The next one is another chance.
        world.record(Event::Reload);
        for _ in 0..3 {
            world.all_say_ready();
        }
        assert_eq!(world.reloads, [ReloadOutcome::Failure, ReloadOutcome::Success]);
        assert_eq!(world.pool.generation(), 2);
    }
}

#[test]
fn in_a_reload_no_lane_is_left_whoever_is_ready_first() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut world = World::with(Policy { surge: 3, ..POLICY });
        world.all_say_ready();
        let old = world.workers();
        world.record(Event::Reload);
        let mut new = world.new_workers(&old);
        new.sort();
        for (done, next) in order.into_iter().enumerate() {
            world.record(Event::Ready(new[next]));
            assert_eq!((world.told.len(), world.pool.lanes()), (done + 1, vec![Lane::Served; 3]));
        }
    }
}

#[test]
fn lanes_that_are_to_be_no_more_are_left_when_their_workers_are_gone() {
    let mut world = World::new();
    world.all_say_ready();
    world.record(Event::Scale(-1));
    assert_eq!(world.pool.lanes(), [Lane::Served, Lane::Served, Lane::Held]);
    world.pass(seconds(10.0));
    assert_eq!(world.pool.lanes(), [Lane::Served, Lane::Served]);
    let crashed = world.pid(Seat::Worker(0));
    world.crash(crashed);
    assert_eq!(world.pool.lanes(), [Lane::Held, Lane::Served]);
}

#[test]
fn reloads_that_are_asked_for_while_one_goes_on_become_one() {
    let mut world = World::new();
    world.all_say_ready();
    for _ in 0..5 {
        world.record(Event::Reload);
    }
    for _ in 0..20 {
        world.all_say_ready();
    }
    assert_eq!((world.reloads.len(), world.pool.generation()), (2, 2));
}

#[test]
fn a_stop_ends_a_reload() {
    let mut world = World::new();
    world.all_say_ready();
    world.record(Event::Reload);
    world.record(Event::Stop);
    assert_eq!(world.told.len(), 4);
    world.pass(seconds(12.0));
    assert_eq!((world.outcome, world.reloads.len()), (Some(Outcome::Stopped), 0));
}

#[test]
fn workers_are_added_and_taken_away_from_the_top() {
    let mut world = World::new();
    world.all_say_ready();
    world.record(Event::Scale(2));
    world.all_say_ready();
    assert_eq!((world.alive.len(), world.pool.target()), (6, 5));
    let top = [3, 4].map(|slot| world.pid(Seat::Worker(slot)));
    world.record(Event::Scale(-2));
    assert!(world.told.len() == 2 && top.iter().all(|pid| world.told.contains_key(pid)));
    world.record(Event::Scale(-20));
    assert_eq!((world.told.len(), world.pool.target()), (4, 1));
    world.pass(seconds(10.0));
    assert_eq!((world.alive.len(), world.killed.len()), (2, 4));
}

#[test]
fn another_configuration_changes_the_number_of_workers_only_if_it_has_another() {
    let mut world = World::new();
    world.all_say_ready();
    world.record(Event::Scale(2));
    world.record(Event::Configured(Policy { graceful_timeout: seconds(1.0), ..POLICY }));
    assert_eq!(world.pool.target(), 5);
    world.record(Event::Configured(Policy { workers: 2, ..POLICY }));
    assert_eq!(world.pool.target(), 2);
    world.record(Event::ReloadRefused);
    assert_eq!((world.reloads.as_slice(), world.pool.generation()), ([ReloadOutcome::Failure].as_slice(), 0));
}

#[test]
fn the_number_of_workers_may_be_told_outright() {
    let mut world = World::new();
    world.all_say_ready();
    for (workers, expected) in [(5, 5), (2, 2), (0, 1)] {
        world.record(Event::ScaleTo(workers));
        world.all_say_ready();
        world.pass(seconds(10.0));
        assert_eq!((world.pool.target(), world.alive.len()), (expected, expected as usize + 1));
    }
}

#[test]
fn why_a_worker_has_ended_is_known_where_its_exit_does_not_tell() {
    let mut world = World::new();
    let [first, second, third] = world.workers()[..] else { panic!() };
    let cause = |world: &World, pid| world.pool.cause_of_end(pid, world.now);
    assert_eq!(cause(&world, first), Some(Cause::BootFailure));
    assert_eq!(world.pool.starting_for(first, world.now + seconds(2.0)), Some(seconds(2.0)));
    world.all_say_ready();
    assert_eq!((cause(&world, first), world.pool.starting_for(first, world.now)), (None, None));
    assert!(world.pool.was_to_go_on(first));
    let force = |world: &mut World, pid, force| world.pool.record(Event::Signalled(pid, force), world.now);
    force(&mut world, first, Force::Abort);
    force(&mut world, first, Force::Kill);
    world.pool.record(Event::Expired(second, Expiry::Memory), world.now);
    assert_eq!(cause(&world, second), None, "it ends by itself before it is told");
    for pid in [second, third] {
        force(&mut world, pid, Force::Term);
    }
    let causes = [first, second, third].map(|pid| cause(&world, pid));
    assert_eq!(causes, [Some(Cause::Hung), Some(Cause::Memory), None]);
    assert!(!world.pool.was_to_go_on(second));
    world.pool.record(Event::Stop, world.now);
    assert_eq!(cause(&world, second), None);
}

#[test]
fn a_crash_loop_is_damped_and_a_healthy_minute_ends_it() {
    let mut world = World::new();
    world.pass(seconds(2.0));
    let before = world.started;
    for _ in 0..600 {
        if let Some((&pid, _)) = world.alive.iter().find(|(_, seat)| **seat == Seat::Worker(0)) {
            world.crash(pid);
        }
        world.pass(seconds(0.1));
    }
    let starts = world.started - before;
    assert!((5..=12).contains(&starts), "{starts} starts in a minute");
    world.pass(seconds(100.0));
    let healthy = world.pid(Seat::Worker(0));
    world.crash(healthy);
    assert_ne!(world.pid(Seat::Worker(0)), healthy, "the next one is started at once");
}

#[test]
fn a_worker_that_ends_well_after_serving_is_replaced_at_once_however_often() {
    let mut world = World::new();
    for _ in 0..50 {
        let pid = world.pid(Seat::Worker(0));
        world.record(Event::Ready(pid));
        world.die(pid, Exit::Code(0));
        world.perform();
    }
    assert_eq!(world.alive.len(), 4);
}

#[test]
fn a_pool_of_which_no_worker_was_ever_ready_gives_up() {
    let mut world = World::new();
    for _ in 0..200 {
        if world.outcome.is_some() {
            break;
        }
        for pid in world.alive.keys().copied().collect::<Vec<_>>() {
            if world.alive.get(&pid).is_some_and(|seat| *seat != Seat::Exporter) {
                world.crash(pid);
            }
        }
        let exporter = world.alive.iter().find(|(_, seat)| **seat == Seat::Exporter).map(|(pid, _)| *pid);
        if world.pool.is_stopping()
            && let Some(exporter) = exporter
        {
            world.crash(exporter);
        }
        world.pass(seconds(0.5));
    }
    assert_eq!(world.outcome, Some(Outcome::NeverReady));
}

#[test]
fn one_that_fails_does_not_end_a_pool_in_which_others_have_yet_to_come_up() {
    let mut world = World::new();
    let others: Vec<_> = world.workers().split_off(1);
    // Those that say nothing are not taken for ready.
    let exporter = world.pid(Seat::Exporter);
    world.pool.says_ready = true;
    for _ in 0..19 {
        let alive: Vec<_> = world.alive.keys().copied().collect();
        let failing = alive.into_iter().filter(|pid| *pid != exporter && !others.contains(pid));
        failing.collect::<Vec<_>>().into_iter().for_each(|pid| world.crash(pid));
        world.pass(seconds(1.0));
    }
    assert!(world.outcome.is_none());
    others.iter().for_each(|&pid| world.record(Event::Ready(pid)));
    assert_eq!(world.pool.census().ready, 2);
}

#[test]
fn a_pool_that_was_ready_once_never_gives_up() {
    let mut world = World::new();
    let pid = world.pid(Seat::Worker(0));
    world.record(Event::Ready(pid));
    for _ in 0..200 {
        for pid in world.alive.keys().copied().collect::<Vec<_>>() {
            world.crash(pid);
        }
        world.pass(seconds(1.0));
    }
    assert!(!world.pool.is_stopping());
}

#[test]
fn stopping_waits_for_the_workers_first_and_the_exporter_last() {
    let mut world = World::new();
    world.pass(seconds(2.0));
    world.record(Event::Stop);
    for pid in world.workers() {
        world.die(pid, Exit::Code(0));
        world.perform();
    }
    assert_eq!(world.outcome, None);
    let exporter = world.pid(Seat::Exporter);
    world.die(exporter, Exit::Code(0));
    world.perform();
    assert_eq!((world.outcome, world.killed.len()), (Some(Outcome::Stopped), 0));
}

#[test]
fn who_does_not_stop_in_time_is_killed() {
    let mut world = World::new();
    world.record(Event::Stop);
    world.pass(seconds(9.9));
    assert_eq!(world.killed.len(), 0);
    world.pass(seconds(0.1));
    assert_eq!(world.killed.len(), 3);
    world.pass(seconds(2.0));
    assert_eq!((world.killed.len(), world.outcome), (4, Some(Outcome::Stopped)));
}

#[test]
fn an_impatient_operator_shortens_the_wait() {
    let mut world = World::new();
    world.record(Event::Stop);
    world.pass(seconds(1.0));
    world.record(Event::Stop);
    world.pass(seconds(2.0));
    assert_eq!(world.killed.len(), 3);
}

#[derive(Clone, Debug)]
enum Happening {
    Crash(usize),
    Ready(usize),
    Ends(usize),
    Pass(u16),
    Reload,
    Upgrade,
    Scale(i32),
    Stop,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..8_usize).prop_map(Happening::Crash),
        3 => (0..8_usize).prop_map(Happening::Ready),
        3 => (0..8_usize).prop_map(Happening::Ends),
        8 => (0..20_000_u16).prop_map(Happening::Pass),
        2 => Just(Happening::Reload),
        1 => Just(Happening::Upgrade),
        1 => (-3..4).prop_map(Happening::Scale),
        1 => Just(Happening::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_the_pool_holds_what_it_promises(happenings in prop::collection::vec(any_happening(), 0..60)) {
        let mut world = World::new();
        let nth = |world: &World, n: usize| {
            let mut pids: Vec<_> = world.alive.keys().copied().collect();
            pids.sort();
            pids.get(n % pids.len().max(1)).copied()
        };
        for happening in happenings {
            match happening {
                Happening::Crash(n) => if let Some(pid) = nth(&world, n) { world.crash(pid) },
                Happening::Ready(n) => if let Some(pid) = nth(&world, n) { world.record(Event::Ready(pid)) },
                Happening::Ends(n) => if let Some(pid) = nth(&world, n) {
                    world.die(pid, Exit::Code(0));
                    world.perform();
                },
                Happening::Pass(milliseconds) => world.pass(Duration::from_millis(milliseconds.into())),
                Happening::Reload => world.record(Event::Reload),
                Happening::Upgrade => world.record(Event::Upgrade),
                Happening::Scale(more) => world.record(Event::Scale(more)),
                Happening::Stop => world.record(Event::Stop),
            }
            let census = world.pool.census();
            prop_assert!(census.starting + census.ready <= world.pool.target() + POLICY.surge);
            let overdue = |pid: &Pid| {
                let told = world.told.get(pid);
                told.is_some_and(|&at| at + POLICY.graceful_timeout + POLICY.hurry_timeout < world.now)
            };
            prop_assert!(!world.alive.keys().any(overdue), "somebody was told to stop and left in peace");
            let next = world.pool.next_deadline();
            prop_assert!(next.is_none_or(|next| next > world.now), "something is due and was not done");
        }
        // Left alone, it converges: to all seats taken, or to the end.
        for _ in 0..120 {
            world.all_say_ready();
            world.pass(seconds(1.0));
        }
        match world.pool.is_stopping() {
            true => prop_assert!(world.outcome.is_some()),
            false => {
                let census = world.pool.census();
                prop_assert_eq!((census.starting, census.ready), (0, world.pool.target()));
                prop_assert_eq!(world.alive.len(), world.pool.target() as usize + 1);
                let slots = world.alive.values().filter(|seat| matches!(seat, Seat::Worker(_)));
                let top = slots.max().copied();
                prop_assert!(top <= Some(Seat::Worker(30)), "{top:?}: slots stay low");
                prop_assert_eq!(world.pool.lanes(), vec![Lane::Served; world.pool.target() as usize]);
            }
        }
    }
}
