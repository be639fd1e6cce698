//! What the supervisor shows of each worker slot: enough for `headcount status` to need nothing else of it.
//!
//! Slots are few, and most of the time nothing changes: then nothing is written.

use std::time::Instant;

use headcount::{Counter, Family, Gauge, GaugeMode, RegisterError, Registry};

use crate::pool::{Pool, SlotView, WorkerState};

/// The PID of a slot's worker.
pub(crate) const PID: &str = "headcount_worker_pid";
/// What a slot's worker does.
pub(crate) const STATE: &str = "headcount_worker_state";
/// The generation of a slot's worker.
pub(crate) const GENERATION: &str = "headcount_worker_generation";
/// How many workers a slot has lost.
pub(crate) const RESTARTS: &str = "headcount_worker_restarts";

/// The metrics of all slots, and what they show.
#[derive(Debug)]
pub(crate) struct SlotMetrics {
    pids: Family<Gauge, 1>,
    states: Family<Gauge, 2>,
    generations: Family<Gauge, 1>,
    restarts: Family<Counter, 1>,
    shown: Vec<SlotView>,
}

impl SlotMetrics {
    pub(crate) fn create(registry: Registry) -> Result<Self, RegisterError> {
        // While a supervisor hands over to another, the other one knows better.
        let mode = GaugeMode::LiveMostRecent;
        let help = "The PID of the worker in a slot; 0 if there is none.";
        let pids = registry.gauge_family(PID, help, mode, ["slot"])?;
        let help = "Whether the worker in a slot is in this state.";
        let states = registry.gauge_family(STATE, help, mode, ["slot", "state"])?;
        let help = "The generation of the worker in a slot: 1 more with each reload; 0 if there is none.";
        let generations = registry.gauge_family(GENERATION, help, mode, ["slot"])?;
        let help = "Workers of a slot that have ended without having been told to.";
        let restarts = registry.counter_family(RESTARTS, help, ["slot"])?;
        Ok(Self { pids, states, generations, restarts, shown: Vec::new() })
    }

    /// Shows the slots as they are now.
    pub(crate) fn show(&mut self, pool: &Pool, now: Instant) {
        for view in pool.slots(now) {
            let at = view.slot as usize;
            match self.shown.get_mut(at) {
                Some(shown) if *shown == view => continue,
                Some(shown) => *shown = view,
                None => {
                    self.restarts.with([&view.slot.to_string()]).add(0);
                    self.shown.push(view);
                }
            }
            self.write(view);
        }
    }

    /// Counts a worker that should have gone on.
    pub(crate) fn lost(&self, slot: u32) {
        self.restarts.with([&slot.to_string()]).inc();
    }

    fn write(&self, view: SlotView) {
        let slot = view.slot.to_string();
        for (state, name) in STATES {
            self.states.with([&slot, name]).set(f64::from(u8::from(view.state == state)));
        }
        let (pid, generation) = view.worker.map_or((0, 0), |(pid, generation)| (pid.as_raw(), generation));
        self.pids.with([&slot]).set(f64::from(pid));
        #[expect(clippy::cast_precision_loss, reason = "nobody reloads so often")]
        self.generations.with([&slot]).set(generation as f64);
    }
}

/// The states that a worker, or its slot, is shown in.
const STATES: [(WorkerState, &str); 4] = [
    (WorkerState::Starting, "starting"),
    (WorkerState::Ready, "ready"),
    (WorkerState::Stopping, "stopping"),
    (WorkerState::BackingOff, "backing_off"),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::SupervisorArgs;
    use crate::options::RunOptions;
    use crate::pool::{Event, Exit, Pid, Seat};

    #[test]
    fn a_slot_whose_worker_is_gone_shows_none() {
        let registry = Registry::private().unwrap();
        let mut metrics = SlotMetrics::create(registry).unwrap();
        let mut pool = Pool::new(RunOptions::new(SupervisorArgs::default()).unwrap().policy, false);
        let (pid, now) = (Pid::from_raw(42), Instant::now());
        let expect = |lines: &[&str]| {
            let text = registry.render();
            lines.iter().for_each(|line| assert!(text.contains(&format!("{line}\n")), "{line}: {text}"));
        };
        pool.record(Event::Started(Seat::Worker(0), pid), now);
        pool.record(Event::Ready(pid), now);
        metrics.show(&pool, now);
        expect(&[
            "headcount_worker_pid{slot=\"0\"} 42",
            "headcount_worker_state{slot=\"0\",state=\"ready\"} 1",
            "headcount_worker_state{slot=\"0\",state=\"starting\"} 0",
            "headcount_worker_restarts_total{slot=\"0\"} 0",
        ]);
        metrics.lost(0);
        pool.record(Event::Exited(pid, Exit::Signal(9)), now);
        pool.record(Event::Started(Seat::Worker(0), Pid::from_raw(43)), now);
        pool.record(Event::Exited(Pid::from_raw(43), Exit::Signal(9)), now + Duration::from_millis(1));
        metrics.show(&pool, now + Duration::from_millis(1));
        expect(&[
            "headcount_worker_pid{slot=\"0\"} 0",
            "headcount_worker_state{slot=\"0\",state=\"ready\"} 0",
            "headcount_worker_state{slot=\"0\",state=\"backing_off\"} 1",
            "headcount_worker_restarts_total{slot=\"0\"} 1",
        ]);
    }
}
