//! The right to register, as a loom mutex.

use loom::sync::{Mutex, MutexGuard};

/// What is locked while somebody registers.
#[derive(Default)]
pub struct Lock(Mutex<()>);

/// The witness that it is.
#[derive(Debug)]
pub struct Registration<'a>(#[expect(dead_code, reason = "held")] MutexGuard<'a, ()>);

impl Lock {
    pub(crate) fn registration(&self) -> Registration<'_> {
        Registration(self.0.lock().expect("no model panics and goes on"))
    }
}
