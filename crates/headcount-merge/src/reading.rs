//! Gauges that show each process by itself, in the modes `all` and `liveall`; and infos, which show what processes are.

use std::collections::BTreeMap;

use headcount_store::cell::decode_gauge;
use headcount_store::metric::{GaugeMerge, GaugeMode};

use crate::gauge::{GaugeCells, GaugeSlot};
use crate::index::{FamilyEntry, Index};
use crate::process::{Life, Processes};

/// What one process has set a gauge to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) gauge: GaugeSlot,
    pub(crate) process: u32,
    pub(crate) value: f64,
}

/// All readings, those of one gauge side by side and in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct ByGauge {
    readings: Vec<Reading>,
}

impl ByGauge {
    /// Takes what each process has set of the gauges that show each process, in place of those before.
    pub(crate) fn fill(
        &mut self,
        cells: &GaugeCells,
        mode: impl Fn(u32) -> GaugeMode,
        processes: &Processes,
    ) {
        self.readings.clear();
        for (run, _) in cells.runs(mode, processes).filter(|(_, merge)| *merge == GaugeMerge::All) {
            for (gauge, (cell, _)) in (run.first..).zip(cells.cells_of(run)) {
                let reading = |value| Reading { gauge, process: run.process, value };
                self.readings.extend(decode_gauge(cell).map(reading));
            }
        }
        self.readings.sort_by_key(|reading| reading.gauge);
    }

    pub(crate) fn all(&self) -> &[Reading] {
        &self.readings
    }

    pub(crate) fn of(&self, gauge: GaugeSlot) -> &[Reading] {
        let start = self.readings.partition_point(|reading| reading.gauge < gauge);
        let len = self.readings[start..].partition_point(|reading| reading.gauge == gauge);
        &self.readings[start..start + len]
    }
}

/// Which label sets of an info are shown: those of the living; if none of them has any, those of the process that
/// started last, and not everything that ever was.
#[derive(Debug)]
pub(crate) struct Infos {
    last: Option<Life>,
}

impl Infos {
    /// Of a family; of one that is no info, nothing.
    pub(crate) fn of(family: &FamilyEntry, index: &Index, readings: &ByGauge, processes: &Processes) -> Self {
        let lives = |slot| readings.of(slot).iter().map(|reading| processes.get(reading.process).life);
        let slots = index.info_slots(family);
        Self { last: slots.flat_map(|(_, slot)| lives(slot)).max() }
    }

    /// A process that says that a label set is to be shown.
    pub(crate) fn holder(&self, slot: GaugeSlot, readings: &ByGauge, processes: &Processes) -> Option<u32> {
        let mut readings = readings.of(slot).iter().map(|reading| reading.process);
        readings.find(|&process| Some(processes.get(process).life) == self.last)
    }
}

/// Samples of one gauge, each with the process that the label `pid` names. Of several processes that had the
/// same PID one after the other, the last counts.
pub(crate) fn one_for_each(readings: &[Reading], processes: &Processes, mut sample: impl FnMut(u32, f64)) {
    let mut newest: BTreeMap<&str, &Reading> = BTreeMap::new();
    for reading in readings {
        let known = newest.entry(processes.label(reading.process)).or_insert(reading);
        if processes.get(reading.process).life >= processes.get(known.process).life {
            *known = reading;
        }
    }
    newest.into_values().for_each(|reading| sample(reading.process, reading.value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauge::tests::{add, collect};
    use crate::process::Life;

    fn shown(mode: GaugeMode, (cells, processes): &(GaugeCells, Processes)) -> Vec<(String, f64)> {
        let (mut by_gauge, mut samples) = (ByGauge::default(), Vec::new());
        by_gauge.fill(cells, |_| mode, processes);
        one_for_each(by_gauge.of(0), processes, |process, value| {
            samples.push((processes.label(process).to_owned(), value));
        });
        samples
    }

    #[test]
    fn all_shows_every_process_and_liveall_the_living() {
        let pid = |pid: &str, value| (pid.to_owned(), value);
        let collected = collect("1 2x 3");
        assert_eq!(shown(GaugeMode::All, &collected), [pid("1", 1.0), pid("2", 2.0), pid("3", 3.0)]);
        assert_eq!(shown(GaugeMode::LiveAll, &collected), [pid("1", 1.0), pid("3", 3.0)]);
        assert_eq!(shown(GaugeMode::Sum, &collected), []);
    }

    #[test]
    fn of_processes_with_one_pid_the_last_counts() {
        let (mut cells, mut processes) = (GaugeCells::default(), Processes::default());
        for (life, reading) in [(Life::Dead(5), "5"), (Life::Alive, "6"), (Life::Dead(9), "9")] {
            add(&mut cells, &mut processes, "7", life, reading);
        }
        processes.label_all();
        assert_eq!(shown(GaugeMode::All, &(cells, processes)), [("7".to_owned(), 6.0)]);
    }
}
