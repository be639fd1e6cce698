//! Workers are followed by others: reloads, upgrades, scaling.

use super::*;

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
