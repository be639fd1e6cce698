//! Waiting for a condition, with a deadline.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(5);

/// Polls until `condition` gives something.
///
/// # Panics
///
/// When a minute and a half passes without it; the message names `what`.
pub fn until<T>(what: impl Display, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Polls until `condition` holds.
///
/// # Panics
///
/// When a minute and a half passes without it; the message names `what`.
pub fn until_true(what: impl Display, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}

/// Sets a flag when it is dropped: threads that go on until then end with their test, by success or by panic.
#[derive(Debug)]
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
