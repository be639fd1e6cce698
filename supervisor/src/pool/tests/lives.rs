//! Workers come, serve, fail, hang and end.

use super::*;

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
