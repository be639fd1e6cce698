//! How long to wait before a process that failed is started again.

use std::time::{Duration, Instant};

/// The wait after the second failure in a row; the first is tried again at once.
const FIRST: Duration = Duration::from_millis(500);
/// No wait is longer, jitter aside.
const LONGEST: Duration = Duration::from_secs(30);

/// The failures of one seat.
///
/// Each failure in a row doubles the wait, up to half a minute. A fifth of it is jitter, so that workers
/// which fail together do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// The failures of a seat as somebody else has counted them.
    pub(super) fn resumed(failures: u32, until: Option<Instant>) -> Self {
        Self { failures, until }
    }

    /// Counts a failure. `seed` is what tells this seat from others that fail at the same time.
    pub(crate) fn fail(&mut self, now: Instant, seed: u32) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait(self.failures, seed));
    }

    /// How many failures there were in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next try may be made; `None` if there was no failure.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

/// A time, less up to a fifth of it, as `seed` has it: so that what begins together does not end together.
///
/// Deterministic, so that a plan can be tested.
pub(super) fn jittered(time: Duration, seed: u32) -> Duration {
    time - time / 1000 * permille(seed)
}

/// The same for a number of something, which stays at least 1.
pub(crate) fn jittered_count(count: u64, seed: u32) -> u64 {
    let less = u128::from(count) * u128::from(permille(seed)) / 1000;
    u64::try_from(u128::from(count) - less).unwrap_or(count).max(1)
}

/// Up to a fifth. Fibonacci hashing: seeds that lie side by side are spread evenly.
fn permille(seed: u32) -> u32 {
    (seed.wrapping_mul(0x9e37_79b9) >> 16) % 200
}

fn wait(failures: u32, seed: u32) -> Duration {
    let doublings = match failures {
        0 | 1 => return Duration::ZERO,
        failures => (failures - 2).min(16),
    };
    jittered((FIRST * (1 << doublings)).min(LONGEST), seed.wrapping_add(failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_at_once_and_no_wait_is_endless() {
        assert_eq!(wait(1, 7), Duration::ZERO);
        for failures in 2..100 {
            let nominal = (FIRST * (1 << (failures - 2).min(16))).min(LONGEST);
            let wait = wait(failures, 7);
            assert!(wait <= nominal && wait >= nominal * 4 / 5, "{failures}");
        }
        assert!(wait(u32::MAX, u32::MAX) <= LONGEST);
    }

    #[test]
    fn seats_that_fail_together_do_not_come_back_together() {
        let mut waits: Vec<_> = (1000..1016).map(|pid| wait(5, pid)).collect();
        waits.sort();
        waits.dedup();
        assert!(waits.len() >= 14, "{waits:?}");
    }
}
