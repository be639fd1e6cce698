//! What the kernel knows of the exporter's process and of the workers, read at each scrape.
//!
//! Workers are shown by their slots, of which there are few, and never by their PIDs, of which there is no end.
//! What cannot be read is left out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use headcount_merge::{Gather, Merged};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::getpid;

use crate::pool::Pid;
use crate::slot_metrics;
use crate::usage::Usage;
use crate::view::samples;

/// So long a scrape may count pages that processes share: a walk over all of a process's pages.
const PAGES_TIME: Duration = Duration::from_millis(5);
/// So long a count is good.
const PAGES_AGE: Duration = Duration::from_secs(10);

/// The processes of a supervisor.
#[derive(Debug)]
pub(super) struct Processes {
    /// When the system was started, in seconds since 1970.
    boot: Option<f64>,
    /// Whether the exporter's is shown.
    shows_own: bool,
    workers: BTreeMap<u32, Worker>,
}

/// The worker in a slot.
#[derive(Clone, Copy, Debug)]
struct Worker {
    pid: Pid,
    /// When it was started, by which it is told from a later process of the same PID.
    started: Option<Duration>,
    /// Its share of memory in bytes, and when that was counted.
    proportional: Option<(u64, Instant)>,
}

impl Processes {
    pub(super) fn new() -> Self {
        Self { boot: boot_time(), shows_own: true, workers: BTreeMap::new() }
    }

    pub(super) fn without_own(&mut self) {
        self.shows_own = false;
    }

    /// Learns from a merge which workers there are; tells whether that is news.
    pub(super) fn learn(&mut self, merged: &Merged<'_>) -> bool {
        let found = pids(merged);
        if self.workers.iter().map(|(&slot, worker)| (slot, worker.pid)).eq(found.iter().copied()) {
            return false;
        }
        let known = std::mem::take(&mut self.workers);
        self.workers.extend(found.into_iter().map(|(slot, pid)| {
            let same = known.get(&slot).filter(|worker| worker.pid == pid);
            let started = || Usage::of(pid).map(|usage| usage.started);
            (slot, same.copied().unwrap_or_else(|| Worker { pid, started: started(), proportional: None }))
        }));
        true
    }

    /// Adds what there is to say of them. `docs/metrics.md` lists it.
    pub(super) fn describe(&mut self, gather: &mut Gather<'_>) {
        if self.shows_own {
            self.describe_own(gather);
        }
        let begin = Instant::now();
        for (slot, worker) in &mut self.workers {
            let usage = Usage::of(worker.pid).filter(|usage| Some(usage.started) == worker.started);
            if let Some(usage) = usage {
                worker.count_pages(begin);
                describe_worker(gather, &slot.to_string(), worker, usage, self.boot);
            }
        }
    }

    /// By the names that Prometheus' own libraries have for the process that is scraped.
    fn describe_own(&self, gather: &mut Gather<'_>) {
        let Some(usage) = Usage::of(getpid()) else { return };
        let help = "Total user and system CPU time spent in seconds.";
        gather.add_float_counter("process_cpu_seconds_total", help, &[], usage.cpu.as_secs_f64());
        let mut gauge = |name, help, value| gather.add_gauge(name, help, &[], value);
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", to_f64(usage.resident));
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", to_f64(usage.addresses));
        gauge("process_threads", "Number of OS threads in the process.", to_f64(usage.threads));
        if let Some(boot) = self.boot {
            let help = "Start time of the process since unix epoch in seconds.";
            gauge("process_start_time_seconds", help, boot + usage.started.as_secs_f64());
        }
        if let Some(count) = open_descriptors(getpid()) {
            gauge("process_open_fds", "Number of open file descriptors.", to_f64(count));
        }
        let limits = [
            (Resource::RLIMIT_NOFILE, "process_max_fds", "Maximum number of open file descriptors."),
            (
                Resource::RLIMIT_AS,
                "process_virtual_memory_max_bytes",
                "Maximum amount of virtual memory available in bytes.",
            ),
        ];
        for (resource, name, help) in limits {
            if let Ok((soft, _)) = getrlimit(resource) {
                gauge(name, help, to_f64(soft));
            }
        }
    }
}

fn describe_worker(gather: &mut Gather<'_>, slot: &str, worker: &Worker, usage: Usage, boot: Option<f64>) {
    let labels = [("slot", slot)];
    let help = "Seconds that the worker in a slot has computed, for itself and in the system.";
    gather.add_float_counter("headcount_worker_cpu_seconds_total", help, &labels, usage.cpu.as_secs_f64());
    let mut gauge = |name, help, value| gather.add_gauge(name, help, &labels, value);
    let help = "Resident memory of the worker in a slot.";
    gauge("headcount_worker_resident_memory_bytes", help, to_f64(usage.resident));
    gauge("headcount_worker_threads", "Threads of the worker in a slot.", to_f64(usage.threads));
    if let Some(count) = open_descriptors(worker.pid) {
        gauge("headcount_worker_open_fds", "File descriptors of the worker in a slot.", to_f64(count));
    }
    if let Some((bytes, _)) = worker.proportional {
        let help = "Memory of the worker in a slot, of what it shares with others only its part.";
        gauge("headcount_worker_proportional_memory_bytes", help, to_f64(bytes));
    }
    if let Some(boot) = boot {
        let help = "When the worker in a slot started, in seconds since 1970.";
        gauge("headcount_worker_start_time_seconds", help, boot + usage.started.as_secs_f64());
    }
}

impl Worker {
    /// Counts its pages anew if there is time for it in the scrape that has begun at `begin`.
    fn count_pages(&mut self, begin: Instant) {
        let is_fresh = self.proportional.is_some_and(|(_, counted)| counted.elapsed() < PAGES_AGE);
        if !is_fresh && begin.elapsed() < PAGES_TIME {
            let counted = proportional(self.pid);
            self.proportional = counted.map(|bytes| (bytes, Instant::now())).or(self.proportional);
        }
    }
}

/// The workers by slot, as the master has written them down; those that there are.
fn pids(merged: &Merged<'_>) -> Vec<(u32, Pid)> {
    let mut pids: Vec<_> = samples(merged, slot_metrics::PID)
        .filter_map(|(labels, value)| {
            #[expect(clippy::cast_possible_truncation, reason = "the master has written a PID")]
            let pid = value as i32;
            Some((labels.get("slot")?.parse().ok()?, Pid::from_raw(pid))).filter(|_| pid > 0)
        })
        .collect();
    // Labels are in the order of texts.
    pids.sort_unstable();
    pids
}

/// When the system was started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()
}

fn open_descriptors(pid: Pid) -> Option<u64> {
    let folder = format!("/proc/{pid}/fd");
    // Newer systems say it at once.
    match std::fs::metadata(&folder).ok()?.len() {
        0 => Some(std::fs::read_dir(folder).ok()?.count() as u64),
        count => Some(count),
    }
}

fn proportional(pid: Pid) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus stores every sample as a float")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_to_the_kernel() {
        let own = getpid();
        let before = open_descriptors(own).unwrap();
        let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/proc/self/stat").unwrap()).collect();
        // Other tests open and close some, too.
        assert!(open_descriptors(own).unwrap() + 20 > before + 50);
        drop(files);
        assert!(proportional(own).unwrap() > 100_000);
        let started = boot_time().unwrap() + Usage::of(own).unwrap().started.as_secs_f64();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 3600.0..now + 5.0).contains(&started), "{started} {now}");
        assert_eq!(open_descriptors(Pid::from_raw(i32::MAX)), None);
        assert_eq!(proportional(Pid::from_raw(i32::MAX)), None);
    }
}
