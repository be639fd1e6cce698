//! Whether a thread has its core for itself.
//!
//! Where two virtual processors are the halves of one core, whoever works on the other half, be it another machine's,
//! makes everything slower here by as much as it needs of what both share: a loop of five instructions less than one
//! of eight. Nobody tells, and a clock of the thread's own time does not see it. But the plainest of all loops has its
//! full speed only while the other half rests, and that is asked for before and after what is measured.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After so many attempts what is measured counts although somebody else was there.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(1);

/// The probe at full speed, in nanoseconds, as far as is known.
static FULL_SPEED: AtomicU64 = AtomicU64::new(u64::MAX);
static DONE: AtomicU64 = AtomicU64::new(0);
static DISTURBED: AtomicU64 = AtomicU64::new(0);

/// Does it until nobody else was there at its beginning and end.
pub(crate) fn alone<T>(mut work: impl FnMut() -> T) -> T {
    DONE.fetch_add(1, Ordering::Relaxed);
    for _ in 0..ATTEMPTS {
        if is_alone() {
            let done = work();
            if is_alone() {
                return done;
            }
        }
        stay_awake();
    }
    DISTURBED.fetch_add(1, Ordering::Relaxed);
    work()
}

/// Which part of all that was to be alone was not.
pub(crate) fn disturbed() -> f64 {
    DISTURBED.load(Ordering::Relaxed) as f64 / DONE.load(Ordering::Relaxed).max(1) as f64
}

/// Lets time pass without giving the processor back, which would then begin slowly, and wherever there is room for it.
fn stay_awake() {
    let start = Instant::now();
    while start.elapsed() < PAUSE {
        probe();
    }
}

fn is_alone() -> bool {
    let start = Instant::now();
    probe();
    let took = u64::try_from(start.elapsed().as_nanos()).unwrap();
    let full_speed = FULL_SPEED.fetch_min(took, Ordering::Relaxed).min(took);
    took <= full_speed + full_speed / 16
}

/// Some ten microseconds of loads, additions and stores.
#[inline(never)]
fn probe() {
    let cell = AtomicU64::new(0);
    for _ in 0..16_384 {
        let cell = black_box(&cell);
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}
