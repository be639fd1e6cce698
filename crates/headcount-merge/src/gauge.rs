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
}

/// Which of two modes a family has that some processes declare so and some so.
///
/// Any other is preferred to `all`, the default that nobody chose, and a live mode to its counterpart.
pub(crate) fn prevailing(a: GaugeMode, b: GaugeMode) -> GaugeMode {
    std::cmp::max_by_key(a, b, |mode| (mode.merge(), mode.is_live()))
}

/// A sample of a gauge: for `all` and `liveall`, of one process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// What the label `pid` says; `None` for the modes that aggregate.
    pub(crate) pid: Option<String>,
    /// The value.
    pub(crate) value: f64,
}

/// Merges the readings of one series.
pub(crate) fn merge(
    mode: GaugeMode,
    readings: &[Reading],
    processes: &Processes,
    pid_labels: &[String],
) -> Vec<Sample> {
    let takes_part =
        |reading: &&Reading| !mode.is_live() || processes.get(reading.process).life == Life::Alive;
    let readings = readings.iter().filter(takes_part);
    if mode.merge() == GaugeMerge::All {
        return one_for_each(readings, processes, pid_labels);
    }
    let one = match mode.merge() {
        GaugeMerge::All => None,
        GaugeMerge::Sum => readings.map(|reading| reading.value).reduce(|sum, value| sum + value),
        // These two pass over what is no number, unless there is nothing else.
        GaugeMerge::Min => readings.map(|reading| reading.value).reduce(f64::min),
        GaugeMerge::Max => readings.map(|reading| reading.value).reduce(f64::max),
        GaugeMerge::MostRecent => readings
            .filter(|reading| reading.time > 0.0)
            .max_by(|a, b| a.time.total_cmp(&b.time).then(a.value.total_cmp(&b.value)))
            .map(|reading| reading.value),
    };
    one.map(|value| Sample { pid: None, value }).into_iter().collect()
}

/// Of several processes that had the same PID one after the other, the last counts.
fn one_for_each<'a>(
    readings: impl Iterator<Item = &'a Reading>,
    processes: &Processes,
    pid_labels: &[String],
) -> Vec<Sample> {
    let mut by_pid: BTreeMap<&str, (Life, f64)> = BTreeMap::new();
    for reading in readings {
        let life = processes.get(reading.process).life;
        let newest = by_pid.entry(&pid_labels[reading.process as usize]).or_insert((life, reading.value));
        if life >= newest.0 {
            *newest = (life, reading.value);
        }
    }
    by_pid.into_iter().map(|(pid, (_, value))| Sample { pid: Some(pid.to_owned()), value }).collect()
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
                let process = processes.add(Process { name: pid.to_string(), pid_namespace: 0, life });
                let (value, time) = alive.split_once('@').unwrap_or((alive, "0"));
                Reading { series: 0, process, value: value.parse().unwrap(), time: time.parse().unwrap() }
            })
            .collect();
        let merged = merge(mode, &readings, &processes, &processes.labels());
        merged.into_iter().map(|sample| (sample.pid, sample.value)).collect()
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
            let process = processes.add(Process { name: "7".into(), pid_namespace: 0, life });
            Reading { series: 0, process, value, time: 0.0 }
        };
        let readings = [reading(Life::Dead(5), 5.0), reading(Life::Alive, 6.0), reading(Life::Dead(9), 9.0)];
        let merged = merge(GaugeMode::All, &readings, &processes, &processes.labels());
        assert_eq!(merged, [Sample { pid: Some("7".into()), value: 6.0 }]);
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
