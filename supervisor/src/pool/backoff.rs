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
    /// Counts a failure.
    pub(super) fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait(self.failures));
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

fn wait(failures: u32) -> Duration {
    let doublings = match failures {
        0 | 1 => return Duration::ZERO,
        failures => (failures - 2).min(16),
    };
    let wait = (FIRST * (1 << doublings)).min(LONGEST);
    // Deterministic, so that a plan can be tested; spread well enough over failures.
    let spread = failures.wrapping_mul(0x9e37_79b9) >> 16;
    wait - wait * (spread % 200) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_at_once_and_no_wait_is_endless() {
        assert_eq!(wait(1), Duration::ZERO);
        for failures in 2..100 {
            let nominal = (FIRST * (1 << (failures - 2).min(16))).min(LONGEST);
            assert!(wait(failures) <= nominal && wait(failures) >= nominal * 4 / 5, "{failures}");
        }
        assert!(wait(u32::MAX) <= LONGEST);
    }
}
