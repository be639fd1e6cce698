//! Where the cells of a file go, by its descriptions.

use std::ops::Range;

use headcount_store::FileError;
use headcount_store::format::family::{Family, Shape};
use headcount_store::format::folded::Folded;
use headcount_store::format::record::{Record, Records};
use headcount_store::metric::{GaugeMerge, GaugeMode, Kind};
use headcount_store::read::{self, Cells, Reader};

use crate::gather::Tally;
use crate::gauge::{GaugeRun, GaugeSlot};
use crate::index::{Index, Sums};
use crate::labels;
use crate::lives::LifeRun;
use crate::marks::Marks;
use crate::process::{Life, Process};
use crate::totals::Slot;

/// Where the cells of files with these descriptions go.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    records: Vec<u8>,
    /// Summed cells, in the order of the cells.
    runs: Vec<Run>,
    gauges: Vec<Gauges>,
    /// Where the life cells of summed series are.
    lives: Vec<LifeCells>,
    /// Families, and their help texts.
    families: Vec<(u32, Box<str>)>,
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
    number: Number,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Integer,
    Float,
}

/// Gauges of one family whose cells and slots are consecutive.
#[derive(Clone, Copy, Debug)]
struct Gauges {
    family: u32,
    first: GaugeSlot,
    len: u32,
    first_cell: u32,
    content: GaugeContent,
}

/// Series whose numbers and life cells are consecutive.
#[derive(Clone, Copy, Debug)]
struct LifeCells {
    first: u32,
    len: u32,
    /// `None` of series whose descriptions name none.
    first_cell: Option<u32>,
}

/// What the cells of a gauge hold.
#[derive(Clone, Copy, Debug, PartialEq)]
enum GaugeContent {
    Value,
    ValueAndTime,
    /// What the values of several dead processes have come to, for each way to merge.
    Folded,
    /// The value of one dead process, by its number in the archive.
    Of(u16),
}

impl GaugeContent {
    /// How many cells there are for a gauge.
    fn cells(self) -> u32 {
        match self {
            Self::Value | Self::Of(_) => 1,
            Self::ValueAndTime => 2,
            Self::Folded => 5,
        }
    }
}

impl Layout {
    /// The descriptions, as they stand in the files.
    pub(crate) fn records(&self) -> &[u8] {
        &self.records
    }

    /// Decodes the descriptions of a file.
    ///
    /// # Errors
    ///
    /// When they are malformed: the index has then learned nothing.
    pub(crate) fn decode(reader: &Reader<'_>, index: &mut Index) -> Result<Self, FileError> {
        let mut bytes = Vec::new();
        reader.read_records(&mut bytes)?;
        let records = Records::new(&bytes).collect::<Result<Vec<_>, _>>()?;
        check(&records)?;
        let mut layout = Self::default();
        let mut families: Vec<Described> = Vec::new();
        let mut in_order = Vec::new();
        for record in records {
            match record {
                Record::Family(family) => {
                    let described = Described::new(&family, index);
                    layout.families.push((described.family, family.help.into()));
                    if let Shape::Gauge(mode)
                    | Shape::Folded(Folded::Gauge(mode) | Folded::GaugeOf { mode, .. }) = described.shape
                    {
                        layout.modes.push((described.family, mode));
                    }
                    families.push(described);
                }
                Record::Series { family, first_cell, life, values } => {
                    in_order.clear();
                    in_order.extend(values.iter());
                    let series =
                        families[family as usize].add_series(first_cell, &in_order, index, &mut layout);
                    if !matches!(index.series(series).sums, Sums::Gauge(_)) {
                        layout.add_life(series, life);
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
        layout.records = bytes;
        Ok(layout)
    }

    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        self.families.iter().for_each(|(family, help)| marks.family(*family, help));
        for Run { cells, first_slot, .. } in &self.runs {
            marks.slots(*first_slot..*first_slot + (cells.end - cells.start));
        }
        self.gauges.iter().for_each(|gauges| marks.gauges(gauges.first..gauges.first + gauges.len));
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
            for run in &self.runs {
                // A slab ends with the last cell that its threads have touched, rounded up.
                let [start, end] =
                    [run.cells.start, run.cells.end].map(|cell| (cell as usize * 8).min(slab.len()));
                let cells = read::cells(&slab[start..end]);
                match run.number {
                    Number::Integer => totals.add_integers(run.first_slot, cells),
                    Number::Float => totals.add_floats(run.first_slot, cells.map(f64::from_bits)),
                }
            }
        }
        let processes: Vec<_> =
            self.processes.iter().map(|process| tally.processes.add(process.clone())).collect();
        let (shared, count) = tally.gauges.add_cells(cells.all_shared());
        // What is described and not there is zero: a gauge that was never set, a life of which nothing is said.
        let there = |first_cell: u32, cells: u32| count.saturating_sub(first_cell) / cells;
        for &LifeCells { first, len, first_cell } in &self.lives {
            let known = first_cell.map_or(0, |first_cell| there(first_cell, 1)).min(len);
            if known > 0 {
                let start = shared + first_cell.unwrap_or(0) as usize;
                tally.lives.add_run(LifeRun { process, first, len: known, start, since });
            }
            if known < len {
                tally.lives.add_silent(process, first + known..first + len);
            }
        }
        for &Gauges { family, first, len, first_cell, content } in &self.gauges {
            let len = len.min(there(first_cell, content.cells()));
            if len == 0 {
                continue;
            }
            let stride = content.cells() as usize;
            let run = |process, at: usize, has_time, only| {
                let start = shared + first_cell as usize + at;
                GaugeRun { process, family, first, len, start, stride, has_time, only }
            };
            let mut add = |run| tally.gauges.add_run(run);
            match content {
                GaugeContent::Value => add(run(process, 0, false, None)),
                GaugeContent::ValueAndTime => add(run(process, 0, true, None)),
                GaugeContent::Folded => {
                    for (at, merge) in (0..).zip([GaugeMerge::Sum, GaugeMerge::Min, GaugeMerge::Max]) {
                        add(run(process, at, false, Some(merge)));
                    }
                    add(run(process, 3, true, Some(GaugeMerge::MostRecent)));
                }
                GaugeContent::Of(number) => {
                    add(run(processes[usize::from(number)], 0, false, Some(GaugeMerge::All)));
                }
            }
        }
    }

    /// Notes where the cells of a gauge are: in the last run, if it goes on where that ends.
    fn add_gauge(&mut self, gauge: Gauges) {
        match self.gauges.last_mut() {
            Some(last)
                if (last.family, last.content) == (gauge.family, gauge.content)
                    && last.first + last.len == gauge.first
                    && last.first_cell + last.len * last.content.cells() == gauge.first_cell =>
            {
                last.len += 1;
            }
            _ => self.gauges.push(gauge),
        }
    }

    /// Notes where the life cell of a series is: in the last run, if it goes on where that ends.
    fn add_life(&mut self, series: u32, cell: Option<u32>) {
        match self.lives.last_mut() {
            Some(last)
                if last.first + last.len == series
                    && last.first_cell.map(|first| first + last.len) == cell =>
            {
                last.len += 1;
            }
            _ => self.lives.push(LifeCells { first: series, len: 1, first_cell: cell }),
        }
    }

    /// Sends a cell to a slot: by the last run, if it goes on where that ends.
    fn add(&mut self, cell: u32, slot: Slot, number: Number) {
        match self.runs.last_mut() {
            Some(last)
                if last.cells.end == cell
                    && last.number == number
                    && last.first_slot + (last.cells.end - last.cells.start) == slot =>
            {
                last.cells.end += 1;
            }
            _ => self.runs.push(Run { cells: cell..cell + 1, first_slot: slot, number }),
        }
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
                if let Shape::Folded(Folded::GaugeOf { process, .. }) = family.shape
                    && usize::from(process) >= processes
                {
                    return Err(malformed("a gauge of a process that is not described"));
                }
                let reserved = match family.shape.kind() {
                    Kind::Histogram => "le",
                    Kind::Summary => "quantile",
                    Kind::Counter | Kind::Gauge => "",
                };
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
            Record::Series { family, first_cell, .. } => {
                if *first_cell as usize + cells[*family as usize] > u32::MAX as usize {
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
        let total;
        let name = if matches!(family.shape, Shape::Counter | Shape::FloatCounter) {
            total = format!("{}_total", family.name);
            &total
        } else {
            family.name
        };
        let interned = index.intern_family(name, kind);
        index.add_help(interned, family.help);
        // A gauge's `pid` is the merge's to say.
        let kept = |label: &str| kind != Kind::Gauge || label != "pid";
        let mut labels: Vec<_> = family.labels.iter().map(|&label| label.to_owned()).zip(0..).collect();
        labels.retain(|(label, _)| kept(label));
        labels.sort_unstable();
        let shape = family.shape.clone();
        let counted = if matches!(shape, Shape::Folded(_)) { Number::Float } else { Number::Integer };
        Self { family: interned, shape, counted, labels, encoded: Vec::new() }
    }

    /// Says where the cells of a series go; returns its number.
    fn add_series(
        &mut self,
        first_cell: u32,
        values: &[&str],
        index: &mut Index,
        layout: &mut Layout,
    ) -> u32 {
        self.encoded.clear();
        for (name, at) in &self.labels {
            labels::encode(name, &mut self.encoded);
            labels::encode(values[*at], &mut self.encoded);
        }
        let family = self.family;
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
            (Shape::Gauge(mode), &Sums::Gauge(first)) => {
                let content = match mode.merge() {
                    GaugeMerge::MostRecent => GaugeContent::ValueAndTime,
                    _ => GaugeContent::Value,
                };
                layout.add_gauge(Gauges { family, first, len: 1, first_cell, content });
            }
            (Shape::Folded(Folded::Gauge(_)), &Sums::Gauge(first)) => {
                let content = GaugeContent::Folded;
                layout.add_gauge(Gauges { family, first, len: 1, first_cell, content });
            }
            (&Shape::Folded(Folded::GaugeOf { process, .. }), &Sums::Gauge(first)) => {
                let content = GaugeContent::Of(process);
                layout.add_gauge(Gauges { family, first, len: 1, first_cell, content });
            }
            // The index made the sums for the same kind.
            _ => {}
        }
        series
    }
}
