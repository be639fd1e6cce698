//! Gauges: what many processes have set becomes one sample, or [one for each](crate::reading) process.
//!
//! The rules are those of Python's client, except that no result depends on the order in which files
//! are read. `docs/merge-rules.md` has them in a table. Cells are only collected while files are read:
//! in which mode a gauge is, and who is alive, is known at the end.

use headcount_store::cell::{decode_gauge, encode_gauge};
use headcount_store::metric::{GaugeMerge, GaugeMode, Kind};

use crate::process::{Life, Processes};

/// The number of a gauge among all series that are gauges.
pub(crate) type GaugeSlot = u32;

/// The bytes of a cell.
pub(crate) type Cell = [u8; size_of::<u64>()];

/// What processes have set.
#[derive(Debug, Default)]
pub(crate) struct GaugeCells {
    /// As they stand there: they are copied as they are, and looked at once.
    cells: Vec<Cell>,
    runs: Vec<GaugeRun>,
    /// How many of both there are to begin with.
    kept: (usize, usize),
}

/// Gauges with consecutive slots, of one family and one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GaugeRun {
    pub(crate) process: u32,
    pub(crate) family: u32,
    pub(crate) first: GaugeSlot,
    pub(crate) len: u32,
    /// Where the cell of the first is.
    pub(crate) start: usize,
    /// How many cells there are for each.
    pub(crate) stride: usize,
    /// Whether the cell behind a value says when it was set, in seconds since 1970.
    pub(crate) has_time: bool,
    /// How a mode must merge for these to take part; `None` for whatever mode. An archive holds for each way
    /// to merge what the values of the dead have come to.
    pub(crate) only: Option<GaugeMerge>,
}

impl GaugeCells {
    /// Begins again with what is [kept](Self::keep).
    pub(crate) fn clear(&mut self) {
        self.cells.truncate(self.kept.0);
        self.runs.truncate(self.kept.1);
    }

    /// Keeps what there is now, to begin with.
    pub(crate) fn keep(&mut self) {
        self.kept = (self.cells.len(), self.runs.len());
    }

    /// Takes the cells of a file; tells where the first is, and how many they are.
    pub(crate) fn add_file(&mut self, cells: &[Cell]) -> (usize, u32) {
        let start = self.cells.len();
        self.cells.extend_from_slice(cells);
        (start, u32::try_from(cells.len()).unwrap_or(u32::MAX))
    }

    /// Takes some cells of a file, each time so many side by side; tells where the first is.
    pub(crate) fn add_each<'a>(&mut self, cells: impl Iterator<Item = &'a [Cell]>) -> usize {
        let start = self.cells.len();
        cells.for_each(|cells| self.cells.extend_from_slice(cells));
        start
    }

    /// Takes what would be in cells; tells where the first is.
    pub(crate) fn add_cells(&mut self, cells: impl Iterator<Item = u64>) -> usize {
        let start = self.cells.len();
        self.cells.extend(cells.map(u64::to_le_bytes));
        start
    }

    /// Brings cells that were taken, from one on and so far apart, to the places that they belong to.
    pub(crate) fn bring<T>(
        &self,
        (start, stride): (usize, usize),
        places: impl ExactSizeIterator<Item = T>,
        take: impl FnMut(T, u64),
    ) {
        let cells = self.cells.get(start..).unwrap_or_default();
        // Those that stand so near each other, as most do, are taken several at a time.
        match stride {
            1 => bring_each::<1, T>(cells, places, take),
            2 if cells.len() / 2 >= places.len() => bring_each::<2, T>(cells, places, take),
            _ => {
                let mut take = take;
                let cells = cells.iter().step_by(stride).map(|&cell| u64::from_le_bytes(cell));
                places.zip(cells).for_each(|(place, cell)| take(place, cell));
            }
        }
    }

    /// Takes values and when they were set, two cells each; tells where the first is.
    pub(crate) fn add_values(&mut self, values: impl Iterator<Item = (f64, f64)>) -> usize {
        self.add_cells(values.flat_map(|(value, time)| [encode_gauge(value), time.to_bits()]))
    }

    /// Takes the value that a process has for one gauge.
    pub(crate) fn add_one(&mut self, family: u32, slot: GaugeSlot, process: u32, value: f64) {
        let start = self.add_values([(value, 0.0)].into_iter());
        let (first, len, stride, has_time, only) = (slot, 1, 2, false, None);
        self.add_run(GaugeRun { process, family, first, len, start, stride, has_time, only });
    }

    /// Says what cells that were taken are.
    pub(crate) fn add_run(&mut self, run: GaugeRun) {
        self.runs.push(run);
    }

    /// Those that take part.
    pub(crate) fn runs<'a>(
        &'a self,
        mode: impl Fn(u32) -> GaugeMode + 'a,
        processes: &'a Processes,
    ) -> impl Iterator<Item = (&'a GaugeRun, GaugeMerge)> {
        self.runs.iter().filter_map(move |run| {
            let mode = mode(run.family);
            let takes_part = run.only.is_none_or(|only| only == mode.merge());
            let counts = !mode.is_live() || processes.get(run.process).life == Life::Alive;
            (takes_part && counts).then_some((run, mode.merge()))
        })
    }

    /// The cells of a run and, as many places behind, those of the times.
    pub(crate) fn cells_of<'a>(&'a self, run: &GaugeRun) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let times = if run.has_time { &self.cells[run.start + 1..] } else { &self.cells[run.start..] };
        let stride = run.stride;
        let each =
            move |cells: &'a [Cell]| cells.iter().step_by(stride).map(|&cell| u64::from_le_bytes(cell));
        each(&self.cells[run.start..]).zip(each(times)).take(run.len as usize)
    }
}

/// The first of so many cells each, as far as there are as many.
fn bring_each<const STRIDE: usize, T>(
    cells: &[Cell],
    places: impl Iterator<Item = T>,
    mut take: impl FnMut(T, u64),
) {
    let (groups, _) = cells.as_chunks::<STRIDE>();
    places.zip(groups).for_each(|(place, group)| take(place, u64::from_le_bytes(group[0])));
}

/// What the gauges have come to whose modes make one value of all.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    values: Vec<f64>,
    /// All cells that took part, bit by bit: 0 where there was none that was set.
    marks: Vec<u64>,
    /// When values were set, if some gauge asks for that.
    times: Vec<f64>,
}

impl Gauges {
    /// Merges all that was collected of `len` gauges, each family in its mode.
    pub(crate) fn fill(
        &mut self,
        len: GaugeSlot,
        cells: &GaugeCells,
        mode: impl Fn(u32) -> GaugeMode,
        processes: &Processes,
    ) {
        self.marks.clear();
        self.marks.resize(len as usize, 0);
        // To which one can add whatever there is.
        self.values.clear();
        self.values.resize(len as usize, -0.0);
        for (run, merge) in cells.runs(mode, processes) {
            match merge {
                GaugeMerge::All => {}
                GaugeMerge::Sum => self.add(cells, run),
                // These two pass over what is no number, unless there is nothing else.
                GaugeMerge::Min => self.combine(cells, run, f64::min),
                GaugeMerge::Max => self.combine(cells, run, f64::max),
                GaugeMerge::MostRecent => self.keep_latest(cells, run),
            }
        }
    }

    /// Without a branch, as there are many. What was never set adds nothing, otherwise it is [decoded](decode_gauge).
    fn add(&mut self, cells: &GaugeCells, run: &GaugeRun) {
        const NOTHING: u64 = (-0.0_f64).to_bits();
        self.each(cells, run, |value, mark, cell| {
            *value += f64::from_bits(if cell == 0 { NOTHING } else { !cell });
            *mark |= cell;
        });
    }

    fn combine(&mut self, cells: &GaugeCells, run: &GaugeRun, combine: impl Fn(f64, f64) -> f64) {
        self.each(cells, run, |value, mark, cell| {
            let Some(new) = decode_gauge(cell) else { return };
            *value = if *mark == 0 { new } else { combine(*value, new) };
            *mark |= cell;
        });
    }

    /// Merges each cell of a run into its gauge.
    fn each(&mut self, cells: &GaugeCells, run: &GaugeRun, merge: impl Fn(&mut f64, &mut u64, u64)) {
        let slots = run.first as usize..(run.first + run.len) as usize;
        let (values, marks) = (&mut self.values[slots.clone()], &mut self.marks[slots]);
        let places = values.iter_mut().zip(marks);
        cells.bring((run.start, run.stride), places, |(value, mark), cell| merge(value, mark, cell));
    }

    /// Of two that were set at the same instant, the greater.
    fn keep_latest(&mut self, cells: &GaugeCells, run: &GaugeRun) {
        if !run.has_time {
            return;
        }
        self.times.resize(self.values.len(), 0.0);
        for (slot, (cell, time)) in (run.first as usize..).zip(cells.cells_of(run)) {
            let (value, time) = (decode_gauge(cell), f64::from_bits(time));
            let Some(value) = value.filter(|_| time > 0.0) else { continue };
            let known = (self.times[slot], self.values[slot]);
            let is_later = time.total_cmp(&known.0).then(value.total_cmp(&known.1)).is_gt();
            if self.marks[slot] == 0 || is_later {
                (self.times[slot], self.values[slot], self.marks[slot]) = (time, value, cell);
            }
        }
    }

    /// The value of a gauge; `None` if nobody who counts has set it.
    pub(crate) fn get(&self, slot: GaugeSlot) -> Option<f64> {
        (self.marks[slot as usize] != 0).then(|| self.values[slot as usize])
    }

    /// When the value that was set last was set, of a gauge that has a value.
    pub(crate) fn time(&self, slot: GaugeSlot) -> f64 {
        self.times.get(slot as usize).copied().unwrap_or_default()
    }
}

/// The mode of a family for which nobody has declared another one; that of an info, a state set or a gauge histogram
/// nobody can declare.
pub(crate) fn initial_mode(kind: Kind) -> GaugeMode {
    match kind {
        // On as long as any process that lives is in it.
        Kind::StateSet => GaugeMode::LiveMax,
        Kind::GaugeHistogram => GaugeMode::LiveSum,
        // Of an info, which processes count is decided for the whole family.
        _ => GaugeMode::All,
    }
}

/// Which of two modes a family has that some processes declare so and some so.
///
/// Any other is preferred to `all`, the default that nobody chose, and a live mode to its counterpart.
pub(crate) fn prevailing(a: GaugeMode, b: GaugeMode) -> GaugeMode {
    std::cmp::max_by_key(a, b, |mode| (mode.merge(), mode.is_live()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::process::Process;

    /// Readings of processes 1, 2, … in order: `7x` of a dead process, `7@3` set at 3 s.
    pub(crate) fn collect(readings: &str) -> (GaugeCells, Processes) {
        let (mut cells, mut processes) = (GaugeCells::default(), Processes::default());
        for (reading, pid) in readings.split_whitespace().zip(1_u32..) {
            let alive = reading.trim_end_matches('x');
            let life = if alive == reading { Life::Alive } else { Life::Dead(1) };
            add(&mut cells, &mut processes, &pid.to_string(), life, alive);
        }
        processes.label_all();
        (cells, processes)
    }

    pub(crate) fn add(
        cells: &mut GaugeCells,
        processes: &mut Processes,
        name: &str,
        life: Life,
        reading: &str,
    ) {
        let process = processes.add(Process { name: name.into(), pid_namespace: 0, life, buried: 0 });
        let (value, time) = reading.split_once('@').unwrap_or((reading, "0"));
        let start = cells.add_values([(value.parse().unwrap(), time.parse().unwrap())].into_iter());
        let (family, first, len, stride) = (0, 0, 1, 2);
        cells.add_run(GaugeRun { process, family, first, len, start, stride, has_time: true, only: None });
    }

    fn check(mode: GaugeMode, readings: &str, expected: Option<f64>) {
        let (cells, processes) = collect(readings);
        let mut gauges = Gauges::default();
        gauges.fill(1, &cells, |_| mode, &processes);
        assert_eq!(format!("{:?}", gauges.get(0)), format!("{expected:?}"), "{mode} of {readings}");
    }

    #[test]
    fn dead_processes_count_in_sums_but_not_in_live_sums() {
        check(GaugeMode::Sum, "1 2 4x", Some(7.0));
        check(GaugeMode::LiveSum, "1 2 4x", Some(3.0));
        check(GaugeMode::LiveSum, "4x", None);
        check(GaugeMode::Sum, "1 NaN", Some(f64::NAN));
        check(GaugeMode::Sum, "-0", Some(-0.0));
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
    fn what_is_for_one_way_to_merge_takes_part_in_no_other() {
        let (mut cells, mut processes) = collect("5");
        let process = Process { name: "dead".into(), pid_namespace: 0, life: Life::Dead(1), buried: 0 };
        let process = processes.add(process);
        let start = cells.add_cells([!70.0_f64.to_bits()].into_iter());
        let only = Some(GaugeMerge::Max);
        let (family, first, len, stride, has_time) = (0, 0, 1, 1, false);
        cells.add_run(GaugeRun { process, family, first, len, start, stride, has_time, only });
        let mut gauges = Gauges::default();
        for (mode, expected) in [(GaugeMode::Max, 70.0), (GaugeMode::Sum, 5.0), (GaugeMode::LiveMax, 5.0)] {
            gauges.fill(1, &cells, |_| mode, &processes);
            assert_eq!(gauges.get(0), Some(expected), "{mode}");
        }
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
