//! What Tokio knows of a runtime: of its stable metrics, all, those of its threads added up.

use std::io;
use std::time::Duration;

use headcount::{GaugeMode, OrNoop, Registry, Updater};
use tokio::runtime::Handle;

use crate::total::Total;

/// Writes down what Tokio knows of a runtime, now and every interval, until what is returned is dropped.
///
/// | Metric | Type | What it is |
/// |---|---|---|
/// | `tokio_workers` | gauge, `livesum` | The runtime's threads |
/// | `tokio_tasks_alive` | gauge, `livesum` | Tasks that are not over |
/// | `tokio_global_queue_depth` | gauge, `livesum` | Tasks that wait for any thread |
/// | `tokio_busy_seconds_total` | counter | Seconds that the threads were busy |
/// | `tokio_parks_total` | counter | How often a thread went to sleep |
///
/// `registry` may put a prefix or labels on them, where there are several runtimes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use headcount::Registry;
/// use std::time::Duration;
///
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// let watch = headcount_bridge::watch_runtime(runtime.handle(), Registry::global()?, Duration::from_secs(5))?;
/// assert!(headcount::render().contains("tokio_workers 1\n"));
/// # drop(watch);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the system gives no thread.
pub fn watch_runtime(handle: &Handle, registry: Registry, interval: Duration) -> io::Result<Updater> {
    let gauge = |name, help| registry.gauge(name, help, GaugeMode::LiveSum).or_noop();
    let counter = |name, help| registry.float_counter(name, help).or_noop();
    let workers = gauge("tokio_workers", "Threads of the runtime.");
    let tasks = gauge("tokio_tasks_alive", "Tasks of the runtime that are not over.");
    let queue = gauge("tokio_global_queue_depth", "Tasks that wait for any thread of the runtime.");
    let mut busy = Total::new(counter("tokio_busy_seconds", "Seconds that the runtime's threads were busy."));
    let mut parks = Total::new(counter("tokio_parks", "How often a thread of the runtime went to sleep."));
    let metrics = handle.metrics();
    Updater::start(interval, move || {
        workers.set(to_f64(metrics.num_workers() as u64));
        tasks.set(to_f64(metrics.num_alive_tasks() as u64));
        queue.set(to_f64(metrics.global_queue_depth() as u64));
        let threads = 0..metrics.num_workers();
        let seconds = threads.clone().map(|thread| metrics.worker_total_busy_duration(thread).as_secs_f64());
        busy.follow(seconds.sum());
        parks.follow(to_f64(threads.map(|thread| metrics.worker_park_count(thread)).sum()));
    })
}

#[expect(clippy::cast_precision_loss, reason = "a count beyond 2⁵³ may be off by one")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
