//! What the supervisor counts of itself, with the same crate and into the same directory as its workers.

use std::path::Path;
use std::time::{Duration, Instant};

use headcount::{Buckets, Counter, Family, Gauge, GaugeMode, Histogram, RegisterError, Registry};
use nix::sys::signal::Signal;

use crate::handover::History;
use crate::hooks::{self, Moment};
use crate::pool::{Cause, Census, Exit, Pool, ReloadOutcome, Seat};
use crate::slot_metrics::SlotMetrics;

/// The gauge of workers by state, from which the exporter tells whether any is ready.
pub(crate) const START_TIME: &str = "headcount_start_time_seconds";
pub(crate) const WORKERS: &str = "headcount_workers";
/// How many workers there are to be.
pub(crate) const WANTED: &str = "headcount_workers_wanted";
/// The generation of workers that are started now.
pub(crate) const GENERATION: &str = "headcount_generation";
/// Whether a reload goes on.
pub(crate) const RELOADING: &str = "headcount_reload_in_progress";
/// Whether the last reload succeeded.
pub(crate) const LAST_RELOAD: &str = "headcount_last_reload_successful";
/// When a reload last succeeded.
pub(crate) const LAST_SUCCESS: &str = "headcount_last_reload_success_timestamp_seconds";
/// Upgrades that have ended.
pub(crate) const UPGRADES: &str = "headcount_upgrades";
/// Reloads that have ended.
pub(crate) const RELOADS: &str = "headcount_reloads";

/// From what a shell needs to what a big application takes to load.
const READY_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The supervisor's own metrics.
#[derive(Debug)]
pub struct SupervisorMetrics {
    workers: Family<Gauge, 1>,
    wanted: Gauge,
    generation: Gauge,
    reloading: Gauge,
    slots: SlotMetrics,
    starts: Family<Counter, 1>,
    ready: Histogram,
    exits: Family<Counter, 2>,
    reloads: Family<Counter, 1>,
    start_time: Gauge,
    last_reload: Gauge,
    last_success: Gauge,
    upgrades: Family<Counter, 1>,
    hooks: Family<Counter, 2>,
}

impl SupervisorMetrics {
    /// Creates the metrics in `directory`, which has been wiped.
    ///
    /// # Errors
    ///
    /// When the directory takes no file.
    pub(crate) fn create(directory: &Path, history: &History) -> Result<Self, RegisterError> {
        let registry = Registry::of_parent_in(directory)?;
        let latest = |name, help| registry.gauge(name, help, GaugeMode::LiveMostRecent);
        let help = "When the supervisor started, in seconds since 1970.";
        let start_time = registry.gauge(START_TIME, help, GaugeMode::LiveMax)?;
        start_time.set(history.start_time);
        let metrics = Self {
            start_time,
            workers: registry.gauge_family(WORKERS, "Workers by state.", GaugeMode::LiveSum, ["state"])?,
            wanted: latest(WANTED, "How many workers there are to be.")?,
            generation: latest(GENERATION, "The generation of workers that are started now.")?,
            reloading: latest(RELOADING, "Whether a reload goes on.")?,
            slots: SlotMetrics::create(registry)?,
            starts: registry.counter_family(
                "headcount_starts",
                "Processes that the supervisor has started.",
                ["process"],
            )?,
            ready: registry.histogram(
                "headcount_worker_ready_seconds",
                "Seconds from the start of a worker until it was ready.",
                Buckets::new(READY_BUCKETS).expect("they ascend"),
            )?,
            exits: registry.counter_family(
                "headcount_exits",
                "Processes that have ended: why, if the supervisor knows; or by success, failure or a signal.",
                ["process", "reason"],
            )?,
            upgrades: registry.counter_family(
                UPGRADES,
                "Upgrades of the supervisor itself that have ended.",
                ["outcome"],
            )?,
            reloads: registry.counter_family(RELOADS, "Reloads that have ended.", ["outcome"])?,
            last_reload: latest(LAST_RELOAD, "Whether the last reload succeeded; 1 if none has ended.")?,
            last_success: registry.gauge(
                LAST_SUCCESS,
                "When the last reload succeeded, in seconds since 1970; 0 if none has.",
                GaugeMode::LiveMax,
            )?,
            hooks: registry.counter_family(
                "headcount_hooks",
                "Hooks that have ended.",
                ["hook", "outcome"],
            )?,
        };
        // Known from the start, so that the first one is an increase.
        for outcome in ["success", "failure"] {
            metrics.reloads.with([outcome]).add(0);
            metrics.upgrades.with([outcome]).add(0);
        }
        metrics.last_reload.set(history.last_reload);
        metrics.last_success.set(history.last_reload_success);
        metrics.show_census(Census::default(), 0);
        Ok(metrics)
    }

    /// What the metrics of the next supervisor in this process cannot know.
    pub(crate) fn history(&self) -> History {
        let value = |gauge: &Gauge| gauge.get().unwrap_or_default();
        History {
            start_time: value(&self.start_time),
            last_reload: value(&self.last_reload),
            last_reload_success: value(&self.last_success),
        }
    }

    /// Shows how the pool is.
    pub fn show(&mut self, pool: &Pool, now: Instant) {
        self.show_census(pool.census(), pool.backing_off(now));
        self.wanted.set(f64::from(pool.target()));
        #[expect(clippy::cast_precision_loss, reason = "nobody reloads so often")]
        self.generation.set(pool.generation() as f64);
        self.slots.show(pool, now);
        // Last: whoever sees that it is over sees what came of it.
        self.reloading.set(f64::from(u8::from(pool.is_reloading())));
    }

    fn show_census(&self, census: Census, backing_off: u32) {
        let states = [
            ("starting", census.starting),
            ("ready", census.ready),
            ("stopping", census.stopping),
            ("backing_off", backing_off),
        ];
        for (state, count) in states {
            self.workers.with([state]).set(f64::from(count));
        }
    }

    /// Counts a start.
    pub fn started(&self, seat: Seat) {
        self.starts.with([process(seat)]).inc();
    }

    /// Counts a worker that has become ready so long after its start.
    pub fn became_ready(&self, after: Duration) {
        self.ready.observe_duration(after);
    }

    /// Counts a reload.
    pub fn reloaded(&self, outcome: ReloadOutcome) {
        match outcome {
            ReloadOutcome::Success => {
                self.last_success.set_to_current_time();
                self.last_reload.set(1.0);
            }
            ReloadOutcome::Failure => self.last_reload.set(0.0),
        }
        // Last: whoever sees that it is over sees what came of it.
        self.reloads.with([outcome.as_str()]).inc();
    }

    /// Counts an upgrade: a success by the new supervisor, a failure by the old one.
    pub fn upgraded(&self, outcome: ReloadOutcome) {
        self.upgrades.with([outcome.as_str()]).inc();
    }

    /// Counts a hook.
    pub fn hook_ended(&self, moment: Moment, outcome: hooks::Outcome) {
        self.hooks.with([moment.name(), outcome.name()]).inc();
    }

    /// Counts an end.
    pub fn exited(&self, seat: Seat, exit: Exit, cause: Option<Cause>) {
        let reason = cause.map_or_else(|| reason(exit), name);
        self.exits.with([process(seat), reason]).inc();
    }

    /// Counts a worker that should have gone on, and is replaced.
    pub fn lost(&self, seat: Seat) {
        if let Seat::Worker(slot) = seat {
            self.slots.lost(slot);
        }
    }
}

fn process(seat: Seat) -> &'static str {
    match seat {
        Seat::Worker(_) => "worker",
        Seat::Exporter => "exporter",
        Seat::Trial => "trial",
    }
}

/// What the supervisor knows better than the exit.
/// Why a worker has ended, in one word.
pub(crate) fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Hung => "hung",
        Cause::Recycled => "recycled",
        Cause::Memory => "memory",
        Cause::BootFailure => "boot_failure",
    }
}

/// How a process has ended, in one word of which there are few.
pub(crate) fn reason(exit: Exit) -> &'static str {
    match exit {
        Exit::Code(0) => "success",
        Exit::Code(_) => "failure",
        // Real-time signals have no names.
        Exit::Signal(number) => Signal::try_from(number).map_or("signal", Signal::as_str),
    }
}
