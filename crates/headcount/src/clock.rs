//! A clock for durations that is cheap to read.
//!
//! The kernel's clock is read twice for each request and each timer, and costs as much as all that is counted of a request.
//! Where the kernel itself takes the time from the processor's counter, it has found that the counters of all processors
//! agree and never stop, whatever the machine is, a virtual one included; then the counter can be read without the kernel, in
//! half the time. How much it counts in a second is measured once, beside the kernel's clock. Everywhere else, the
//! kernel's clock is read.
//!
//! # Safety
//!
//! One rule: the counter is read only on an architecture on which every program may.
#![cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(unsafe_code, reason = "reading the counter is a function of an architecture")
)]

use std::hint;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A moment, for durations within this process.
///
/// ```
/// use headcount::clock::Moment;
///
/// let begin = Moment::now();
/// assert!(Moment::now().seconds_since(begin) >= 0.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

/// What moments are counted in: the bits of a number of seconds, which is [`NANOSECOND`] for the kernel's clock and
/// anything else for the counter. 0 until somebody asks.
static UNIT: AtomicU64 = AtomicU64::new(UNKNOWN);

/// From where on the kernel's clock is counted.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

const UNKNOWN: u64 = 0;
const NANOSECOND: u64 = 1e-9_f64.to_bits();

/// How long the counter is compared with the kernel's clock, in nanoseconds; twice. Either is read to some twenty, so
/// that the unit is right to a ten-thousandth.
const WINDOW: u64 = 500_000;

/// By what part the two results may differ.
const TOLERANCE: f64 = 1e-3;

impl Moment {
    /// Now. The first call of a process takes a millisecond.
    #[inline]
    #[must_use]
    pub fn now() -> Self {
        match UNIT.load(Ordering::Relaxed) {
            UNKNOWN => Self(read(find_unit())),
            unit => Self(read(unit)),
        }
    }

    /// The seconds since an earlier moment; 0 if it was not earlier.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "what is lost of years are nanoseconds")]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        // Processors know how to make a float of an integer that has a sign, and no process lives as long as the longest.
        let count = self.0.saturating_sub(earlier.0).cast_signed();
        // Whoever has a moment has asked for the unit.
        count as f64 * f64::from_bits(UNIT.load(Ordering::Relaxed))
    }
}

#[inline]
fn read(unit: u64) -> u64 {
    if unit == NANOSECOND { kernels() } else { counter() }
}

/// The unit that all moments have from now on.
#[cold]
fn find_unit() -> u64 {
    let unit = if kernel_reads_counter() { counters_unit() } else { None };
    let found = unit.map_or(NANOSECOND, f64::to_bits);
    // Others may have asked at the same time: there is one answer.
    match UNIT.compare_exchange(UNKNOWN, found, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => found,
        Err(known) => known,
    }
}

/// Whether the kernel takes the time from the counter that a program can read, too.
fn kernel_reads_counter() -> bool {
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    cfg!(all(target_arch = "x86_64", not(miri)))
        && std::fs::read_to_string(source).is_ok_and(|name| name.trim() == "tsc")
}

/// The seconds of one count; `None` if two measurements differ, as when the machine sleeps meanwhile.
fn counters_unit() -> Option<f64> {
    let begin = Both::read();
    let middle = begin.wait();
    let end = middle.wait();
    let (first, second) = (middle.unit_since(&begin), end.unit_since(&middle));
    ((first - second).abs() < first * TOLERANCE).then(|| end.unit_since(&begin))
}

/// The two clocks at one moment.
struct Both {
    kernels: u64,
    counter: u64,
}

impl Both {
    /// The tries of which the fastest counts: in others the thread may have lost its processor between the two.
    const TRIES: usize = 8;

    fn read() -> Self {
        let tries = (0..Self::TRIES).map(|_| {
            let (before, counter, after) = (kernels(), counter(), kernels());
            (after - before, Self { kernels: before + (after - before) / 2, counter })
        });
        let best = tries.min_by_key(|(took, _)| *took);
        best.map_or(Self { kernels: 0, counter: 0 }, |(_, both)| both)
    }

    /// The same a window later. To sleep would be to be late.
    fn wait(&self) -> Self {
        while kernels() < self.kernels + WINDOW {
            hint::spin_loop();
        }
        Self::read()
    }

    fn unit_since(&self, earlier: &Self) -> f64 {
        let (seconds, counts) = (self.kernels - earlier.kernels, self.counter.wrapping_sub(earlier.counter));
        as_float(seconds) * 1e-9 / as_float(counts.max(1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is lost of years are nanoseconds")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// The kernel's clock, in nanoseconds.
fn kernels() -> u64 {
    u64::try_from(BEGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The processor's counter, where there is one.
#[inline]
fn counter() -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 has this instruction. Whoever forbids it to a program forbids the kernel's clock to read it
    // there, too, so that the kernel does not take the time from it.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(seconds: impl Fn(u64, u64) -> f64, now: impl Fn() -> u64) {
        for _ in 0..3 {
            let (outer, begin, inner) = (Instant::now(), now(), Instant::now());
            while inner.elapsed().as_millis() < 5 {
                hint::spin_loop();
            }
            let (least, end, most) = (inner.elapsed().as_secs_f64(), now(), outer.elapsed().as_secs_f64());
            let measured = seconds(end, begin);
            assert!(least * 0.999 <= measured && measured <= most * 1.001, "{least} {measured} {most}");
        }
    }

    #[test]
    fn what_lies_between_two_moments_is_what_the_kernel_says() {
        checked(|end, begin| Moment(end).seconds_since(Moment(begin)), || Moment::now().0);
        checked(|end, begin| as_float(end - begin) * f64::from_bits(NANOSECOND), || read(NANOSECOND));
    }

    #[test]
    fn what_comes_later_in_another_thread_is_not_earlier() {
        let mut last = Moment::now();
        for _ in 0..200 {
            let next = std::thread::scope(|scope| scope.spawn(Moment::now).join().unwrap());
            assert!(next.0 >= last.0, "{next:?} {last:?}");
            last = next;
        }
        assert_eq!(Moment(1).seconds_since(Moment(2)), 0.0);
    }

    #[test]
    fn the_counter_is_read_only_where_the_kernel_does() {
        let _asked = Moment::now();
        let unit = UNIT.load(Ordering::Relaxed);
        assert!(unit == NANOSECOND || kernel_reads_counter());
    }
}
