//! Gauges: many processes' readings become one sample, or one for each process.
//!
//! The rules are those of Python's client, except that no result depends on the order in which files
//! are read. `docs/merge-rules.md` has them in a table.

use std::collections::BTreeMap;

use headcount_store::metric::{GaugeMerge, GaugeMode};

use crate::process::{Life, Processes};

/// What one process has set a gauge to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Which series.
    pub(crate) series: u32,
    /// Which process.
    pub(crate) process: u32,
    /// The value.
    pub(crate) value: f64,
    /// When it was set, in seconds since 1970; 0 if that is not known.
    pub(crate) time: f64,
    /// How a mode must merge for this to take part; `None` for whatever mode. An archive holds for each way
    /// to merge what the values of the dead have come to.
    pub(crate) only: Option<GaugeMerge>,
}

impl Reading {
    /// Stands where there is none yet.
    const BLANK: Self = Self { series: 0, process: 0, value: 0.0, time: 0.0, only: None };

    /// Whether it counts where modes merge like this.
    pub(crate) fn takes_part(&self, merge: GaugeMerge) -> bool {
        self.only.is_none_or(|only| only == merge)
    }
}

/// All readings, those of one series side by side and in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct BySeries {
    readings: Vec<Reading>,
    /// Where the readings of each series end, and before the first where they begin.
    ends: Vec<usize>,
}

impl BySeries {
    /// Takes readings of series below `series`, in place of those before.
    pub(crate) fn fill(&mut self, readings: &[Reading], series: usize) {
        let Self { readings: sorted, ends } = self;
        // Two places behind its own series each reading is counted, so that the running sum one place behind
        // is where the series begins; filling it in moves that on to where it ends.
        ends.clear();
        ends.resize(series + 2, 0);
        readings.iter().for_each(|reading| ends[reading.series as usize + 2] += 1);
        (1..ends.len()).for_each(|at| ends[at] += ends[at - 1]);
        sorted.resize(readings.len(), Reading::BLANK);
        for reading in readings {
            let place = &mut ends[reading.series as usize + 1];
            sorted[*place] = *reading;
            *place += 1;
        }
    }

    pub(crate) fn of(&self, series: u32) -> &[Reading] {
        &self.readings[self.ends[series as usize]..self.ends[series as usize + 1]]
    }
}

/// Which of two modes a family has that some processes declare so and some so.
///
/// Any other is preferred to `all`, the default that nobody chose, and a live mode to its counterpart.
pub(crate) fn prevailing(a: GaugeMode, b: GaugeMode) -> GaugeMode {
    std::cmp::max_by_key(a, b, |mode| (mode.merge(), mode.is_live()))
}

/// Merges the readings of one series into samples, each with what the label `pid` says of it: nothing,
/// for the modes that aggregate.
pub(crate) fn merge(
    mode: GaugeMode,
    readings: &[Reading],
    processes: &Processes,
    mut sample: impl FnMut(Option<u32>, f64),
) {
    let takes_part = |reading: &&Reading| {
        let is_asked = !mode.is_live() || processes.get(reading.process).life == Life::Alive;
        is_asked && reading.takes_part(mode.merge())
    };
    let readings = readings.iter().filter(takes_part);
    let values = readings.clone().map(|reading| reading.value);
    let one = match mode.merge() {
        GaugeMerge::All => return one_for_each(readings, processes, sample),
        GaugeMerge::Sum => values.reduce(|sum, value| sum + value),
        // These two pass over what is no number, unless there is nothing else.
        GaugeMerge::Min => values.reduce(f64::min),
        GaugeMerge::Max => values.reduce(f64::max),
        GaugeMerge::MostRecent => latest(readings).map(|reading| reading.value),
    };
    if let Some(value) = one {
        sample(None, value);
    }
}

/// The value that was set last.
pub(crate) fn latest<'a>(readings: impl Iterator<Item = &'a Reading>) -> Option<&'a Reading> {
    let set = readings.filter(|reading| reading.time > 0.0);
    set.max_by(|a, b| a.time.total_cmp(&b.time).then(a.value.total_cmp(&b.value)))
}

/// Of several processes that had the same PID one after the other, the last counts.
fn one_for_each<'a>(
    readings: impl Iterator<Item = &'a Reading>,
    processes: &Processes,
    mut sample: impl FnMut(Option<u32>, f64),
) {
    let mut newest: BTreeMap<&str, &Reading> = BTreeMap::new();
    for reading in readings {
        let known = newest.entry(processes.label(reading.process)).or_insert(reading);
        if processes.get(reading.process).life >= processes.get(known.process).life {
            *known = reading;
        }
    }
    newest.into_values().for_each(|reading| sample(Some(reading.process), reading.value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;

    /// Readings of processes 1, 2, … in order: `7x` of a dead process, `7@3` set at 3 s.
    fn samples(mode: GaugeMode, readings: &str) -> Vec<(Option<String>, f64)> {
        let mut processes = Processes::default();
        let readings: Vec<_> = readings
            .split_whitespace()
            .zip(1_u32..)
            .map(|(reading, pid)| {
                let alive = reading.trim_end_matches('x');
                let life = if alive == reading { Life::Alive } else { Life::Dead(1) };
                let process =
                    processes.add(Process { name: pid.to_string(), pid_namespace: 0, life, buried: 0 });
                let (value, time) = alive.split_once('@').unwrap_or((alive, "0"));
                Reading {
                    series: 0,
                    process,
                    value: value.parse().unwrap(),
                    time: time.parse().unwrap(),
                    only: None,
                }
            })
            .collect();
        merged(mode, &readings, processes)
    }

    fn merged(mode: GaugeMode, readings: &[Reading], mut processes: Processes) -> Vec<(Option<String>, f64)> {
        processes.label_all();
        let mut samples = Vec::new();
        merge(mode, readings, &processes, |process, value| {
            samples.push((process.map(|process| processes.label(process).to_owned()), value));
        });
        samples
    }

    fn check(mode: GaugeMode, readings: &str, expected: Option<f64>) {
        let found = samples(mode, readings);
        let expected: Vec<_> = expected.map(|value| (None::<String>, value)).into_iter().collect();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{mode} of {readings}");
    }

    #[test]
    fn dead_processes_count_in_sums_but_not_in_live_sums() {
        check(GaugeMode::Sum, "1 2 4x", Some(7.0));
        check(GaugeMode::LiveSum, "1 2 4x", Some(3.0));
        check(GaugeMode::LiveSum, "4x", None);
        check(GaugeMode::Sum, "1 NaN", Some(f64::NAN));
    }

    #[test]
    fn the_least_and_the_greatest_pass_over_what_is_no_number() {
        check(GaugeMode::Min, "3 1x 2", Some(1.0));
        check(GaugeMode::LiveMin, "3 1x 2", Some(2.0));
        check(GaugeMode::Max, "3 4x 2", Some(4.0));
        check(GaugeMode::LiveMax, "3 4x 2", Some(3.0));
        for readings in ["NaN 1 2", "1 NaN 2", "2 1 NaN"] {
            check(GaugeMode::Min, readings, Some(1.0));
            check(GaugeMode::Max, readings, Some(2.0));
        }
        check(GaugeMode::Min, "NaN", Some(f64::NAN));
    }

    #[test]
    fn the_most_recent_is_the_one_that_was_set_last() {
        check(GaugeMode::MostRecent, "1@5 2@9x 3@7", Some(2.0));
        check(GaugeMode::LiveMostRecent, "1@5 2@9x 3@7", Some(3.0));
        check(GaugeMode::MostRecent, "1@0 2@0", None);
        // At the same instant, the greater value, in whatever order.
        check(GaugeMode::MostRecent, "1@5 2@5", Some(2.0));
        check(GaugeMode::MostRecent, "2@5 1@5", Some(2.0));
    }

    #[test]
    fn all_shows_every_process_and_liveall_the_living() {
        let pid = |pid: &str, value| (Some(pid.to_owned()), value);
        assert_eq!(samples(GaugeMode::All, "1 2x 3"), [pid("1", 1.0), pid("2", 2.0), pid("3", 3.0)]);
        assert_eq!(samples(GaugeMode::LiveAll, "1 2x 3"), [pid("1", 1.0), pid("3", 3.0)]);
    }

    #[test]
    fn of_processes_with_one_pid_the_last_counts() {
        let mut processes = Processes::default();
        let mut reading = |life, value| {
            let process = processes.add(Process { name: "7".into(), pid_namespace: 0, life, buried: 0 });
            Reading { series: 0, process, value, time: 0.0, only: None }
        };
        let readings = [reading(Life::Dead(5), 5.0), reading(Life::Alive, 6.0), reading(Life::Dead(9), 9.0)];
        assert_eq!(merged(GaugeMode::All, &readings, processes), [(Some("7".to_owned()), 6.0)]);
    }

    #[test]
    fn readings_of_a_series_stay_in_their_order() {
        let reading = |series, value| Reading { series, process: 0, value, time: 0.0, only: None };
        let all = [reading(2, 1.0), reading(0, 2.0), reading(2, 3.0), reading(2, 4.0)];
        let mut by_series = BySeries::default();
        by_series.fill(&[reading(3, 9.0)], 5);
        by_series.fill(&all, 4);
        let values = |series| by_series.of(series).iter().map(|reading| reading.value).collect::<Vec<_>>();
        assert_eq!(
            [values(0), values(1), values(2), values(3)],
            [vec![2.0], vec![], vec![1.0, 3.0, 4.0], vec![]]
        );
    }

    #[test]
    fn a_chosen_mode_prevails_over_the_default_and_a_live_one_over_its_counterpart() {
        for mode in GaugeMode::EVERY {
            assert_eq!(prevailing(mode, mode), mode);
            assert_eq!(prevailing(GaugeMode::All, mode), mode);
            for other in GaugeMode::EVERY {
                assert_eq!(prevailing(mode, other), prevailing(other, mode));
            }
        }
        assert_eq!(prevailing(GaugeMode::Sum, GaugeMode::LiveSum), GaugeMode::LiveSum);
    }
}
