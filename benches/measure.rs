//! Medians of interleaved rounds.

use std::time::{Duration, Instant};

/// A way to do something, and how long it took in each round.
pub(crate) struct Candidate<'a> {
    name: &'static str,
    work: Box<dyn FnMut() -> Duration + 'a>,
    rounds: Vec<Duration>,
}

impl<'a> Candidate<'a> {
    /// Something that tells itself how long it took.
    pub(crate) fn new(name: &'static str, work: impl FnMut() -> Duration + 'a) -> Self {
        Self { name, work: Box::new(work), rounds: Vec::new() }
    }

    fn median(&mut self) -> Duration {
        self.rounds.sort_unstable();
        self.rounds[self.rounds.len() / 2]
    }
}

/// How long something takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Runs every candidate in every round, and prints medians with their ratio to the first candidate's.
///
/// A figure is the time divided by `units`, in the unit that `scale` and `unit` say.
pub(crate) fn compare(title: &str, rounds: usize, units: f64, unit: &str, candidates: &mut [Candidate<'_>]) {
    // Once for the caches.
    for candidate in &mut *candidates {
        (candidate.work)();
    }
    for round in 0..rounds {
        // Nobody always comes after the same neighbour.
        let len = candidates.len();
        for place in 0..len {
            let candidate = &mut candidates[(place + round) % len];
            let took = (candidate.work)();
            candidate.rounds.push(took);
        }
    }
    println!("\n{title} (median of {rounds})");
    let first = candidates[0].median().as_secs_f64();
    for candidate in candidates {
        let median = candidate.median().as_secs_f64();
        let scaled = median / units * if unit == "ns" { 1e9 } else { 1e3 };
        println!("  {:<44} {scaled:>10.2} {unit}  {:>9.3} x the first", candidate.name, median / first);
    }
}
