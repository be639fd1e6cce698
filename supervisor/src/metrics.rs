//! What the supervisor counts of itself, with the same crate and into the same directory as its workers.

use std::path::Path;

use headcount::{Counter, Family, Gauge, GaugeMode, RegisterError, Registry};
use nix::sys::signal::Signal;

use crate::hooks::{self, Moment};
use crate::pool::{Census, Exit, ReloadOutcome, Seat};

/// The gauge of workers by state, from which the exporter tells whether any is ready.
pub(crate) const WORKERS: &str = "headcount_workers";

/// The supervisor's own metrics.
#[derive(Debug)]
pub struct SupervisorMetrics {
    workers: Family<Gauge, 1>,
    starts: Family<Counter, 1>,
    exits: Family<Counter, 2>,
    reloads: Family<Counter, 1>,
    last_reload: Gauge,
    hooks: Family<Counter, 2>,
}

impl SupervisorMetrics {
    /// Creates the metrics in `directory`, which has been wiped.
    ///
    /// # Errors
    ///
    /// When the directory takes no file.
    pub fn create(directory: &Path) -> Result<Self, RegisterError> {
        let registry = Registry::of_parent_in(directory)?;
        let help = "When the supervisor started, in seconds since 1970.";
        registry.gauge("headcount_start_time_seconds", help, GaugeMode::LiveMax)?.set_to_current_time();
        let metrics = Self {
            workers: registry.gauge_family(WORKERS, "Workers by state.", GaugeMode::LiveSum, ["state"])?,
            starts: registry.counter_family(
                "headcount_starts",
                "Processes that the supervisor has started.",
                ["process"],
            )?,
            exits: registry.counter_family(
                "headcount_exits",
                "Processes that have ended: by success or failure, or the signal that killed them.",
                ["process", "reason"],
            )?,
            reloads: registry.counter_family("headcount_reloads", "Reloads that have ended.", ["outcome"])?,
            last_reload: registry.gauge(
                "headcount_last_reload_success_timestamp_seconds",
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
        }
        metrics.last_reload.set(0.0);
        metrics.show(Census::default(), 0);
        Ok(metrics)
    }

    /// Shows how many workers there are.
    pub fn show(&self, census: Census, backing_off: u32) {
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

    /// Counts a reload.
    pub fn reloaded(&self, outcome: ReloadOutcome) {
        match outcome {
            ReloadOutcome::Success => {
                self.reloads.with(["success"]).inc();
                self.last_reload.set_to_current_time();
            }
            ReloadOutcome::Failure => self.reloads.with(["failure"]).inc(),
        }
    }

    /// Counts a hook.
    pub fn hook_ended(&self, moment: Moment, outcome: hooks::Outcome) {
        self.hooks.with([moment.name(), outcome.name()]).inc();
    }

    /// Counts an end.
    pub fn exited(&self, seat: Seat, exit: Exit) {
        self.exits.with([process(seat), reason(exit)]).inc();
    }
}

fn process(seat: Seat) -> &'static str {
    match seat {
        Seat::Worker(_) => "worker",
        Seat::Exporter => "exporter",
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
