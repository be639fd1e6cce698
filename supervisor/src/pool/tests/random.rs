//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

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
