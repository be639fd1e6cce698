//! What the kernel knows of this process. Under `headcount run` the supervisor has that of each worker already; this is
//! for workers of others, beside `headcount serve`.

use std::fs;
use std::io;
use std::time::Duration;

use headcount::{GaugeMode, OrNoop, Registry, Updater};

use crate::total::Total;

/// Writes down what the kernel knows of this process, now and every interval, until what is returned is dropped.
///
/// | Metric | Type | What it is |
/// |---|---|---|
/// | `worker_process_cpu_seconds_total` | counter | Seconds that the process has computed, for itself and in the system |
/// | `worker_process_resident_memory_bytes` | gauge, `livesum` | Its resident memory |
/// | `worker_process_open_fds` | gauge, `livesum` | Its file descriptors |
/// | `worker_process_threads` | gauge, `livesum` | Its threads |
///
/// Merged, they are those of all workers together. `process_…` are names of whoever serves the merge.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let interval = std::time::Duration::from_secs(5);
/// let watch = headcount_bridge::watch_process(headcount::Registry::global()?, interval)?;
/// assert!(headcount::render().contains("worker_process_threads "));
/// # drop(watch);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the system gives no thread.
pub fn watch_process(registry: Registry, interval: Duration) -> io::Result<Updater> {
    let gauge = |name, help| registry.gauge(name, help, GaugeMode::LiveSum).or_noop();
    let resident = gauge("worker_process_resident_memory_bytes", "Resident memory of the workers.");
    let descriptors = gauge("worker_process_open_fds", "File descriptors of the workers.");
    let threads = gauge("worker_process_threads", "Threads of the workers.");
    let help = "Seconds that the workers have computed, for themselves and in the system.";
    let mut cpu = Total::new(registry.float_counter("worker_process_cpu_seconds", help).or_noop());
    Updater::start(interval, move || {
        // What cannot be read stays as it was.
        if let Ok(stat) = fs::read_to_string("/proc/self/stat")
            && let Some(seconds) = cpu_seconds(&stat)
        {
            cpu.follow(seconds);
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            if let Some(kilobytes) = field(&status, "VmRSS:") {
                resident.set(kilobytes * 1024.0);
            }
            if let Some(count) = field(&status, "Threads:") {
                threads.set(count);
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One is the folder's own.
            let count = u32::try_from(open.count().saturating_sub(1)).unwrap_or(u32::MAX);
            descriptors.set(f64::from(count));
        }
    })
}

/// How many of the kernel's ticks there are in a second, as programs see them: on every Linux of today.
const TICKS: f64 = 100.0;

/// Fields 14 and 15, counted from behind the name, which may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) / TICKS)
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 4 0 100";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(cpu_seconds("7 (a"), None);
        assert_eq!(field("Name:\tx\nVmRSS:\t     120 kB\n", "VmRSS:"), Some(120.0));
        assert_eq!(field("Name:\tx\n", "Threads:"), None);
    }

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let registry = Registry::private().unwrap();
        watch_process(registry, Duration::from_secs(3600)).unwrap().stop();
        let text = registry.render();
        for name in ["resident_memory_bytes", "open_fds", "threads"] {
            let line = text.lines().find(|line| line.starts_with(&format!("worker_process_{name} ")));
            assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{name}: {text}");
        }
    }
}
