//! What updates are given, the same for all candidates, and how often.

use std::sync::LazyLock;
use std::time::Duration;

use crate::measure::time;

pub(crate) const UPDATES: u64 = 100_000;

/// Repeats an update.
pub(crate) fn repeat(mut update: impl FnMut(u64)) -> Duration {
    time(|| (0..UPDATES).for_each(&mut update))
}

/// The same in two threads at once; the slower one counts.
pub(crate) fn repeat_in_two(update: impl Fn(u64) + Sync) -> Duration {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| repeat(&update))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    })
}

/// Chosen from a slice that is not empty, one after the other.
pub(crate) fn turn<T>(slice: &[T], n: u64) -> &T {
    &slice[usize::try_from(n).unwrap() % slice.len()]
}

/// Values for a histogram of the default bounds, evenly spread over all of its buckets in a random order.
pub(crate) fn value(n: u64) -> f64 {
    static VALUES: LazyLock<[f64; 1024]> = LazyLock::new(|| {
        let random = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        std::array::from_fn(|n| 0.001 * 1.6_f64.powf(random(n) as f64 / f64::from(1 << 24) * 20.0))
    });
    *turn(&*VALUES, n)
}

/// Three label values for each of many series, in a random order.
pub(crate) struct Names {
    names: Vec<[&'static str; 3]>,
    order: Vec<usize>,
}

impl Names {
    pub(crate) const fn none() -> Self {
        Self { names: Vec::new(), order: Vec::new() }
    }

    /// Label values that live as long as the program.
    pub(crate) fn new(series: usize) -> Self {
        let leak = |text: String| &*text.leak();
        let name =
            |n: usize| [format!("m{}", n % 4), format!("/route/{n}"), (200 + n % 3).to_string()].map(leak);
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap() % series
        };
        Self { names: (0..series).map(name).collect(), order: (0..1 << 14).map(|_| next()).collect() }
    }

    /// Those of one series.
    pub(crate) fn get(&self, n: u64) -> [&'static str; 3] {
        self.names[*turn(&self.order, n)]
    }
}
