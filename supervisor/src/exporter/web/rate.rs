//! How often requests are answered.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One request each interval; as many as the burst at once after a while without any.
#[derive(Debug)]
pub(super) struct RateLimit {
    interval: Duration,
    burst: u32,
    /// When as many requests as there may be at once are allowed again.
    full: Mutex<Instant>,
}

impl RateLimit {
    pub(super) fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, full: Mutex::new(Instant::now()) }
    }

    /// Takes one request, if there is one left.
    pub(super) fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    fn allows_at(&self, now: Instant) -> bool {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let after = (*full).max(now) + self.interval;
        let is_allowed = after <= now + self.interval * self.burst;
        if is_allowed {
            *full = after;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_one_each_interval() {
        let limit = RateLimit::new(Duration::from_secs(1), 3);
        let start = Instant::now() + Duration::from_secs(10);
        let allowed = |seconds: f64| limit.allows_at(start + Duration::from_secs_f64(seconds));
        assert_eq!([0.0; 4].map(allowed), [true, true, true, false]);
        assert_eq!([0.9, 1.0, 1.1, 2.5, 2.6].map(allowed), [false, true, false, true, false]);
        assert_eq!([100.0; 4].map(allowed), [true, true, true, false]);
    }
}
