//! Tests wait for what other threads do.

use std::time::{Duration, Instant};

/// Waits until it is so.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "it does not come about");
        std::thread::sleep(Duration::from_millis(1));
    }
}
