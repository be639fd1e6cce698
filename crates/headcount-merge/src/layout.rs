//! Where the cells of a file go, by its descriptions.

use std::ops::Range;

use headcount_store::FileError;
use headcount_store::format::exemplar::Exemplar;
use headcount_store::format::family::{Family, Native, Shape};
use headcount_store::format::folded::Folded;
use headcount_store::format::record::{Record, Records};
use headcount_store::format::table::Table;
use headcount_store::metric::{GaugeMerge, GaugeMode, Kind, check_label_name};
use headcount_store::read::{self, Cells, Reach};

use crate::exemplars::Owner;
use crate::gauge::GaugeSlot;
use crate::gauge_layout::{GaugeContent, GaugeLayout, Gauges, Info, States};
use crate::index::{Index, Sums};
use crate::labels;
use crate::lives::LifeRun;
use crate::marks::Marks;
use crate::native::NativeSlot;
use crate::native_layout::{Covered, NativeTable};
use crate::process::{Life, Process};
use crate::tally::Tally;
use crate::totals::Slot;

/// Where the cells of files with these descriptions go.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// How long the descriptions are, in bytes.
    records_len: usize,
    /// Which cells are described.
    reach: Reach,
    /// Summed cells, in the order of the cells.
    runs: Vec<Run>,
    /// Those among them that are floats.
    floats: Vec<Run>,
    gauges: GaugeLayout,
    natives: Vec<NativeTable>,
    /// Where the life cells of summed series are.
    lives: Vec<LifeCells>,
    /// Families, and their help texts.
    families: Vec<(u32, Box<str>)>,
    /// Families that have a unit.
    units: Vec<(u32, Box<str>)>,
    /// Families of gauges, and the mode in which these files have each.
    modes: Vec<(u32, GaugeMode)>,
    /// Dead processes of which an archive keeps values by themselves.
    processes: Vec<Process>,
}

/// Consecutive cells that are added to consecutive slots.
#[derive(Debug)]
struct Run {
    cells: Range<u32>,
    first_slot: Slot,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Integer,
    Float,
}

/// Series whose numbers and life cells are as far apart each: between them may be others, of which something else is
/// said.
#[derive(Clone, Copy, Debug)]
struct LifeCells {
    first: u32,
    step: u32,
    len: u32,
    /// `None` of series whose descriptions name none.
    first_cell: Option<u32>,
    stride: u32,
}

impl Layout {
    /// How long the descriptions are, in bytes.
    pub(crate) fn records_len(&self) -> usize {
        self.records_len
    }

    /// Which cells are described.
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    /// Decodes descriptions, as they stand in a file.
    ///
    /// # Errors
    ///
    /// When they are malformed: the index has then learned nothing.
    pub(crate) fn decode(bytes: &[u8], index: &mut Index) -> Result<Self, FileError> {
        let records = Records::new(bytes).collect::<Result<Vec<_>, _>>()?;
        check(&records)?;
        let mut layout = Self::default();
        let mut families: Vec<Described> = Vec::new();
        let mut in_order = Vec::new();
        for record in records {
            match record {
                Record::Family(family) => {
                    let described = Described::new(&family, index);
                    layout.families.push((described.family, family.help.into()));
                    if !family.unit.is_empty() {
                        index.add_unit(described.family, family.unit);
                        layout.units.push((described.family, family.unit.into()));
                    }
                    if let Shape::Gauge(mode)
                    | Shape::UpDown(mode)
                    | Shape::Folded(Folded::Gauge(mode) | Folded::GaugeOf { mode, .. }) = described.shape
                    {
                        layout.modes.push((described.family, mode));
                    }
                    families.push(described);
                }
                Record::Series { family, first_cell, life, table, values } => {
                    in_order.clear();
                    in_order.extend(values.iter());
                    let described = &mut families[family as usize];
                    layout.reach.add(&described.shape, first_cell, life, table);
                    let series = described.add_series((first_cell, life), &in_order, index, &mut layout);
                    if let Some((series, table)) = series.zip(table) {
                        described.add_table(series, (first_cell, table), index, &mut layout);
                    }
                }
                Record::Process(process) => layout.processes.push(Process {
                    name: process.name.to_owned(),
                    pid_namespace: process.pid_namespace,
                    life: Life::Dead(process.order),
                    buried: process.buried,
                }),
            }
        }
        layout.records_len = bytes.len();
        Ok(layout)
    }

    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        self.families.iter().for_each(|(family, help)| marks.family(*family, help));
        self.units.iter().for_each(|(family, unit)| marks.unit(*family, unit));
        for Run { cells, first_slot } in &self.runs {
            marks.slots(*first_slot..*first_slot + (cells.end - cells.start));
        }
        self.natives.iter().for_each(|native| native.mark(marks));
        self.gauges.mark(marks);
    }

    /// Notes in which modes these files have gauges.
    pub(crate) fn note_modes(&self, index: &mut Index) {
        self.modes.iter().for_each(|&(family, mode)| index.add_mode(family, mode));
    }

    /// Adds the cells of a process's file to the totals, for which there is room, and collects its gauges and
    /// lives. `since` is when those began of which nothing else is said, in milliseconds since 1970.
    pub(crate) fn apply(&self, cells: &Cells, process: u32, since: u64, tally: &mut Tally) {
        let totals = &mut tally.totals;
        for slab in cells.slabs() {
            // A slab ends with the last cell that its threads have touched, rounded up.
            let bytes = |run: &Run| {
                let [start, end] =
                    [run.cells.start, run.cells.end].map(|cell| (cell as usize * 8).min(slab.len()));
                &slab[start..end]
            };
            // To add many at once, whatever they are, and to take away again what was no integer, costs less than to
            // tell them apart one by one.
            for run in &self.runs {
                totals.add_integers(run.first_slot, read::cells(bytes(run)));
            }
            for run in &self.floats {
                totals.turn_into_floats(run.first_slot, read::cells(bytes(run)));
            }
        }
        self.natives.iter().for_each(|native| native.apply(cells, tally));
        let processes: Vec<_> =
            self.processes.iter().map(|process| tally.processes.add(process.clone())).collect();
        let (shared, count) = tally.gauges.add_cells(cells.all_shared());
        // What is described and not there is zero: a gauge that was never set, a life of which nothing is said.
        for &LifeCells { first, step, len, first_cell, stride } in &self.lives {
            let there = |first_cell| count.saturating_sub(first_cell).div_ceil(stride);
            let known = first_cell.map_or(0, there).min(len);
            if let Some(first_cell) = first_cell.filter(|_| known > 0) {
                let start = shared + first_cell as usize;
                tally.lives.add_run(LifeRun { process, first, step, len: known, start, stride, since });
            }
            if step == 1 && known < len {
                tally.lives.add_silent(process, first + known..first + len);
            } else {
                let silent = (known..len).map(|at| first + at * step);
                silent.for_each(|series| tally.lives.add_silent(process, series..series + 1));
            }
        }
        self.gauges.apply(cells, (shared, count), process, &processes, tally);
    }

    /// The exemplars of a process's file, and whose they are.
    pub(crate) fn exemplars(&self, cells: &Cells) -> impl Iterator<Item = (Owner, Exemplar)> {
        cells.exemplars().filter_map(|exemplar| {
            let slot = self.slot_of(exemplar.cell).map(Owner::Slot);
            let owner = slot.or_else(|| self.native_of(exemplar.cell).map(Owner::Native))?;
            Some((owner, exemplar))
        })
    }

    /// The slot of a summed cell. Of a file whose series are not in the order of their cells, perhaps none.
    fn slot_of(&self, cell: u32) -> Option<Slot> {
        let at = self.runs.partition_point(|run| run.cells.start <= cell).checked_sub(1)?;
        let Run { cells, first_slot, .. } = &self.runs[at];
        cells.contains(&cell).then(|| first_slot + (cell - cells.start))
    }

    /// The native histogram of a summed cell that has no slot, in the same way.
    fn native_of(&self, cell: u32) -> Option<NativeSlot> {
        let at = self.natives.partition_point(|native| native.first_cell <= cell).checked_sub(1)?;
        self.natives[at].cells().contains(&cell).then_some(self.natives[at].native)
    }

    fn add_gauge(&mut self, family: u32, first: GaugeSlot, first_cell: u32, content: GaugeContent) {
        self.gauges.add(Gauges::one(family, first, first_cell, content));
    }

    /// Notes where the life cell of a series is: in the last run, if it goes on with that.
    fn add_life(&mut self, series: u32, cell: Option<u32>) {
        if !self.lives.last_mut().is_some_and(|last| last.go_on_with(series, cell)) {
            self.lives.push(LifeCells { first: series, step: 1, len: 1, first_cell: cell, stride: 1 });
        }
    }

    /// Sends a cell to a slot.
    fn add(&mut self, cell: u32, slot: Slot, number: Number) {
        add_to_runs(&mut self.runs, cell, slot);
        if number == Number::Float {
            add_to_runs(&mut self.floats, cell, slot);
        }
    }
}

/// Sends a cell to a slot: by the last run, if it goes on where that ends.
fn add_to_runs(runs: &mut Vec<Run>, cell: u32, slot: Slot) {
    match runs.last_mut() {
        Some(Run { cells, first_slot })
            if (cells.end, *first_slot + (cells.end - cells.start)) == (cell, slot) =>
        {
            cells.end += 1;
        }
        _ => runs.push(Run { cells: cell..cell + 1, first_slot: slot }),
    }
}

impl LifeCells {
    /// Takes a series in, if it comes next; the second one says how far apart they are.
    fn go_on_with(&mut self, series: u32, cell: Option<u32>) -> bool {
        let Some(step) = series.checked_sub(self.first).filter(|step| *step > 0) else { return false };
        match (self.first_cell, cell) {
            (Some(first_cell), Some(cell)) if cell > first_cell => {
                if self.len == 1 {
                    (self.step, self.stride) = (step, cell - first_cell);
                }
                let is_next = |distance, each: u32| each.checked_mul(self.len) == Some(distance);
                if !is_next(step, self.step) || !is_next(cell - first_cell, self.stride) {
                    return false;
                }
            }
            (None, None) if step == self.len => {}
            _ => return false,
        }
        self.len += 1;
        true
    }
}

/// What the format does not forbid, and no client of ours writes.
fn check(records: &[Record<'_>]) -> Result<(), FileError> {
    let malformed = |what| FileError::BadDescription { offset: 0, what };
    let mut cells = Vec::new();
    let mut processes = 0;
    for record in records {
        match record {
            Record::Process(_) => processes += 1,
            Record::Family(family) => {
                if let Shape::Folded(Folded::GaugeOf { process, .. } | Folded::InfoOf { process }) =
                    family.shape
                    && usize::from(process) >= processes
                {
                    return Err(malformed("a value of a process that is not described"));
                }
                let reserved = match family.shape.kind() {
                    // Is dropped.
                    Kind::Gauge => "",
                    Kind::StateSet => family.name,
                    kind => kind.own_label(),
                };
                if matches!(family.shape, Shape::StateSet { .. }) && check_label_name(family.name).is_err() {
                    return Err(malformed("a state set that no label can be called after"));
                }
                let mut labels = family.labels.clone();
                labels.sort_unstable();
                if labels.iter().any(|label| label.is_empty() || *label == reserved) {
                    return Err(malformed("a label that this kind cannot have"));
                }
                if labels.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(malformed("a label that comes twice"));
                }
                cells.push(family.shape.cells());
            }
            Record::Series { family, first_cell, table, .. } => {
                let places = table.map_or(0, |table| table.places as usize);
                if *first_cell as usize + cells[*family as usize] + places > u32::MAX as usize {
                    return Err(malformed("a series beyond the last cell"));
                }
            }
        }
    }
    Ok(())
}

/// A family of a file, and the one of the index that it is.
struct Described {
    family: u32,
    name: String,
    shape: Shape,
    /// What its buckets or its count are.
    counted: Number,
    /// The label names, sorted, and where the value of each stands in a series.
    labels: Vec<(String, usize)>,
    encoded: Vec<u8>,
}

impl Described {
    fn new(family: &Family<'_>, index: &mut Index) -> Self {
        let kind = family.shape.kind();
        let suffix = match family.shape {
            Shape::Folded(Folded::NamedCounter) => "",
            _ => kind.name_suffix(),
        };
        let name = format!("{}{suffix}", family.name);
        let interned = index.intern_family(&name, kind);
        index.add_help(interned, family.help);
        // A gauge's `pid` is the merge's to say.
        let kept = |label: &str| kind != Kind::Gauge || label != "pid";
        let mut labels: Vec<_> = family.labels.iter().map(|&label| label.to_owned()).zip(0..).collect();
        labels.retain(|(label, _)| kept(label));
        labels.sort_unstable();
        let shape = family.shape.clone();
        let counted = if matches!(shape, Shape::Folded(_)) { Number::Float } else { Number::Integer };
        Self { family: interned, name, shape, counted, labels, encoded: Vec::new() }
    }

    /// Notes where the cells of a series go: the first one, and its life cell. Returns its number in the index, if it
    /// is one series there.
    fn add_series(
        &mut self,
        (first_cell, life): (u32, Option<u32>),
        values: &[&str],
        index: &mut Index,
        layout: &mut Layout,
    ) -> Option<u32> {
        self.encoded.clear();
        for (name, at) in &self.labels {
            labels::encode(name, &mut self.encoded);
            labels::encode(values[*at], &mut self.encoded);
        }
        let family = self.family;
        if let Shape::StateSet { states } = &self.shape {
            let slots = states.iter().filter_map(|state| self.state(state, index)).collect();
            layout.gauges.add_states(States { family, cell: first_cell, slots });
            return None;
        }
        let series = index.intern_series(family, &self.encoded);
        match (&self.shape, &index.series(series).sums) {
            (Shape::Counter, &Sums::One(slot)) => layout.add(first_cell, slot, Number::Integer),
            (Shape::FloatCounter | Shape::Folded(Folded::NamedCounter), &Sums::One(slot)) => {
                layout.add(first_cell, slot, Number::Float);
            }
            (Shape::Summary | Shape::Folded(Folded::Summary), &Sums::Summary { sum, count }) => {
                layout.add(first_cell, sum, Number::Float);
                layout.add(first_cell + 1, count, self.counted);
            }
            (
                Shape::Histogram { bounds } | Shape::Folded(Folded::Histogram { bounds }),
                &Sums::Histogram { sum, .. },
            ) => {
                layout.add(first_cell, sum, Number::Float);
                for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first_cell + 1..) {
                    layout.add(cell, index.intern_bucket(series, bound), self.counted);
                }
            }
            (Shape::NativeHistogram(native), &Sums::Histogram { sum, .. }) => {
                layout.add(first_cell, sum, Number::Float);
                if !native.bounds.is_empty() {
                    let bounds = native.bounds.iter().chain(&[f64::INFINITY]);
                    for (&bound, cell) in bounds.zip(first_cell + Native::CLASSIC..) {
                        layout.add(cell, index.intern_bucket(series, bound), self.counted);
                    }
                }
            }
            (Shape::GaugeHistogram { bounds }, &Sums::GaugeHistogram { sum, .. }) => {
                layout.add_gauge(family, sum, first_cell, GaugeContent::Value);
                for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first_cell + 1..) {
                    let bucket = index.intern_bucket(series, bound);
                    layout.add_gauge(family, bucket, cell, GaugeContent::Value);
                }
            }
            (Shape::UpDown(_), &Sums::Gauge(slot)) => {
                layout.gauges.add_difference(family, slot, first_cell, life);
            }
            (Shape::Info, &Sums::Gauge(slot)) => {
                layout.gauges.add_info(Info { family, slot, life, of: None });
            }
            (&Shape::Folded(Folded::InfoOf { process }), &Sums::Gauge(slot)) => {
                layout.gauges.add_info(Info { family, slot, life, of: Some(process) });
            }
            (shape, &Sums::Gauge(slot)) => {
                let content = match shape {
                    Shape::Gauge(mode) if mode.merge() == GaugeMerge::MostRecent => {
                        GaugeContent::ValueAndTime
                    }
                    Shape::Folded(Folded::Gauge(_)) => GaugeContent::Folded,
                    Shape::Folded(Folded::GaugeOf { process, .. }) => GaugeContent::Of(*process),
                    _ => GaugeContent::Value,
                };
                layout.add_gauge(family, slot, first_cell, content);
            }
            // The index made the sums for the same kind.
            _ => {}
        }
        // Of what is set, a process that has removed it says nothing.
        if !matches!(index.series(series).sums, Sums::Gauge(_) | Sums::GaugeHistogram { .. }) {
            layout.add_life(series, life);
        }
        Some(series)
    }

    /// Notes where the cells of a table of a native histogram go.
    fn add_table(
        &self,
        series: u32,
        (first_cell, table): (u32, Table),
        index: &mut Index,
        layout: &mut Layout,
    ) {
        let Some(declared) = self.shape.native() else { return };
        let is_folded = matches!(self.shape, Shape::Folded(_));
        let covered = match declared.classic_buckets() {
            0 if is_folded => Covered::In(first_cell),
            0 => Covered::Beyond(index.intern_bucket(series, f64::INFINITY)),
            count => Covered::By(first_cell + Native::CLASSIC..first_cell + Native::CLASSIC + count),
        };
        layout.natives.push(NativeTable {
            native: index.intern_native(series),
            declared: declared.clone(),
            first_cell,
            table,
            covered,
        });
    }

    /// The slot of a state of the series whose labels are encoded. The label that names it comes last, so that the
    /// states of a series stand side by side, as OpenMetrics wants them.
    fn state(&self, state: &str, index: &mut Index) -> Option<GaugeSlot> {
        let mut encoded = self.encoded.clone();
        labels::encode(&self.name, &mut encoded);
        labels::encode(state, &mut encoded);
        let series = index.intern_series(self.family, &encoded);
        match index.series(series).sums {
            Sums::Gauge(slot) => Some(slot),
            _ => None,
        }
    }
}
