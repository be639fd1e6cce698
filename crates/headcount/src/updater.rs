//! Gauges that are refreshed on a schedule: the length of a queue, the idle connections of a pool.
//!
//! Other clients ask a *collector* for such values when they are scraped. Here nobody can: the scrape reaches the
//! supervisor, which reads files, and what a worker holds in its memory is in no file. To ask the workers would
//! make each scrape wait for the slowest of them, and a worker that is dead has no answer. So each worker writes
//! down what it knows now and then, and the mode of the gauge says what becomes of all workers' values. What is
//! shown is at most one interval old.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Runs a closure now and then, in a thread of its own, until it is dropped.
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
/// use headcount::{Gauge, GaugeMode, OrNoop, Updater};
///
/// static QUEUE: Mutex<Vec<u32>> = Mutex::new(Vec::new());
///
/// let waiting = Gauge::new("queue_length", "Jobs that wait.", GaugeMode::LiveSum).or_noop();
/// let updater = Updater::start(Duration::from_secs(5), move || {
///     let length = QUEUE.lock().map_or(0, |queue| queue.len());
///     waiting.set(length as f64);
/// })?;
/// assert!(headcount::render().contains("queue_length 0\n"));
/// updater.stop();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A child that is forked has no such thread: start it there, after the fork. In a runtime a task does as well,
/// which sets gauges at the ticks of an interval.
#[derive(Debug)]
#[must_use = "an updater that is dropped at once updates once"]
pub struct Updater {
    /// Never sent to: the thread ends when it is gone.
    alive: Sender<()>,
    thread: JoinHandle<()>,
}

impl Updater {
    /// Runs `update` once before this returns, so that its gauges are there when the worker is ready, and then
    /// whenever `interval` has gone by. An update that panics is the end of that one only.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(interval: Duration, mut update: impl FnMut() + Send + 'static) -> io::Result<Self> {
        update();
        let (alive, ended) = channel();
        // A pause that is none would take a processor for itself.
        let interval = interval.max(Duration::from_millis(1));
        let run = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                // The panic has been printed by its hook. What the closure left half done is its own.
                let _ = catch_unwind(AssertUnwindSafe(&mut update));
            }
        };
        let thread = Builder::new().name("headcount-update".to_owned()).spawn(run)?;
        Ok(Self { alive, thread })
    }

    /// Ends it, and waits for an update that is going on.
    pub fn stop(self) {
        let Self { alive, thread } = self;
        drop(alive);
        // It cannot have panicked.
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::wait;

    #[test]
    fn updates_go_on_after_one_that_panics_and_end_with_the_updater() {
        let updates = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&updates);
        let updater = Updater::start(Duration::ZERO, move || {
            let before = counted.fetch_add(1, Ordering::Relaxed);
            assert!(before != 1, "expected");
        });
        assert!(updates.load(Ordering::Relaxed) >= 1);
        wait::until(|| updates.load(Ordering::Relaxed) >= 4);
        updater.unwrap().stop();
        assert_eq!(Arc::strong_count(&updates), 1);
    }

    #[test]
    fn dropping_it_ends_it() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let updater = Updater::start(Duration::from_secs(3600), move || drop(Arc::clone(&inside))).unwrap();
        drop(updater);
        wait::until(|| Arc::strong_count(&held) == 1);
    }
}
