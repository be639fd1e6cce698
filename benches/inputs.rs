//! What updates are given, the same for all candidates, and how often.
//!
//! What is measured is the time that a thread has a processor for itself: others use the machine, too, and a reader
//! beside two threads has to share one with them. Whoever waits for another's cache line does not give it back.

use std::sync::LazyLock;
use std::time::Duration;

use nix::time::ClockId;

pub(crate) const UPDATES: u64 = 100_000;

/// How long something keeps this thread's processor busy.
fn busy(work: impl FnOnce()) -> Duration {
    let now = || Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap());
    let start = now();
    work();
    now() - start
}

/// Repeats an update, whatever it returns. In no function but its own, so that one thread and two run the same code.
#[inline(never)]
pub(crate) fn repeat<R>(mut update: impl FnMut(u64) -> R) -> Duration {
    busy(|| {
        for n in 0..UPDATES {
            update(n);
        }
    })
}

/// How many threads do the same.
#[derive(Clone, Copy)]
pub(crate) enum Threads {
    One,
    /// At once; the slower one counts.
    Two,
}

impl Threads {
    /// Repeats an update in each thread, each of which has what it updates for itself.
    pub(crate) fn repeat<R>(self, update: impl Fn(u64) -> R + Copy + Send) -> Duration {
        let begin = &std::sync::Barrier::new(2);
        let work = move || {
            // A thread's first update is no update like others.
            update(0);
            begin.wait();
            repeat(update)
        };
        match self {
            Self::One => repeat(update),
            Self::Two => std::thread::scope(|scope| {
                let threads = [scope.spawn(work), scope.spawn(work)];
                threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
            }),
        }
    }
}

/// One of a number that the compiler knows, in turn, so that the choice costs next to nothing.
#[inline]
pub(crate) fn turn<T, const LEN: usize>(all: &[T; LEN], n: u64) -> &T {
    const { assert!(LEN.is_power_of_two()) };
    &all[usize::try_from(n).unwrap() % LEN]
}

const VALUES: usize = 1024;

/// Values for a histogram of the default bounds, evenly spread over all of its buckets in a random order.
pub(crate) fn values() -> &'static [f64; VALUES] {
    static ALL: LazyLock<[f64; VALUES]> = LazyLock::new(|| {
        let random = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        std::array::from_fn(|n| 0.001 * 1.6_f64.powf(random(n) as f64 / f64::from(1 << 24) * 20.0))
    });
    &ALL
}

const ORDER: usize = 1 << 14;

/// Numbers below `series`, in a random order.
pub(crate) fn order(series: usize) -> Box<[usize; ORDER]> {
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % series
    };
    let order: Box<[usize]> = (0..ORDER).map(|_| next()).collect();
    order.try_into().unwrap()
}

/// Three label values for each of many series, in a random order.
pub(crate) struct Names {
    names: Vec<[&'static str; 3]>,
    order: Box<[usize; ORDER]>,
}

impl Names {
    /// Label values that live as long as the program.
    pub(crate) fn new(series: usize) -> Self {
        let leak = |text: String| &*text.leak();
        let name =
            |n: usize| [format!("m{}", n % 4), format!("/route/{n}"), (200 + n % 3).to_string()].map(leak);
        Self { names: (0..series).map(name).collect(), order: order(series) }
    }

    /// Those of one series.
    #[inline]
    pub(crate) fn get(&self, n: u64) -> [&'static str; 3] {
        self.names[*turn(&self.order, n)]
    }
}
