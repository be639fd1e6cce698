//! Where the cells of a file go, by its descriptions.

use std::ops::Range;

use headcount_store::FileError;
use headcount_store::cell::decode_gauge;
use headcount_store::format::family::{Family, Shape};
use headcount_store::format::folded::Folded;
use headcount_store::format::record::{Record, Records};
use headcount_store::metric::{GaugeMerge, GaugeMode, Kind};
use headcount_store::read::{Cells, Reader};

use crate::gather::Tally;
use crate::gauge::Reading;
use crate::index::{Index, Sums};
use crate::labels;
use crate::process::{Life, Process};
use crate::totals::Slot;

/// Where the cells of files with these descriptions go.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    records: Vec<u8>,
    /// Summed cells, in the order of the cells.
    runs: Vec<Run>,
    gauges: Vec<GaugeCells>,
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

#[derive(Debug)]
struct GaugeCells {
    series: u32,
    first: u32,
    content: GaugeContent,
}

/// What the cells of a gauge hold.
#[derive(Clone, Copy, Debug)]
enum GaugeContent {
    Value,
    ValueAndTime,
    /// What the values of several dead processes have come to, for each way to merge.
    Folded,
    /// The value of one dead process, by its number in the archive.
    Of(u16),
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
                    if let Shape::Gauge(mode)
                    | Shape::Folded(Folded::Gauge(mode) | Folded::GaugeOf { mode, .. }) = described.shape
                    {
                        layout.modes.push((described.family, mode));
                    }
                    families.push(described);
                }
                Record::Series { family, first_cell, values } => {
                    in_order.clear();
                    in_order.extend(values.iter());
                    families[family as usize].add_series(first_cell, &in_order, index, &mut layout);
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

    /// Notes in which modes these files have gauges.
    pub(crate) fn note_modes(&self, index: &mut Index) {
        self.modes.iter().for_each(|&(family, mode)| index.add_mode(family, mode));
    }

    /// Adds the cells of a process's file to the totals, for which there is room, and its gauges to the readings.
    pub(crate) fn apply(&self, cells: &Cells, process: u32, tally: &mut Tally) {
        let totals = &mut tally.totals;
        for slab in cells.slabs() {
            for run in &self.runs {
                // A slab ends with the last cell that its threads have touched, rounded up.
                let start = (run.cells.start as usize).min(slab.len());
                let end = (run.cells.end as usize).min(slab.len());
                match run.number {
                    Number::Integer => totals.add_integers(run.first_slot, &slab[start..end]),
                    Number::Float => totals.add_floats(run.first_slot, &slab[start..end]),
                }
            }
        }
        let processes: Vec<_> =
            self.processes.iter().map(|process| tally.processes.add(process.clone())).collect();
        for gauge in &self.gauges {
            let value = |at| decode_gauge(cells.shared(gauge.first + at));
            let time = |at| f64::from_bits(cells.shared(gauge.first + at));
            let mut add = |process, value: Option<f64>, time, only| {
                let reading = |value| Reading { series: gauge.series, process, value, time, only };
                tally.readings.extend(value.map(reading));
            };
            match gauge.content {
                GaugeContent::Value => add(process, value(0), 0.0, None),
                GaugeContent::ValueAndTime => add(process, value(0), time(1), None),
                GaugeContent::Folded => {
                    for (at, merge) in (0..).zip([GaugeMerge::Sum, GaugeMerge::Min, GaugeMerge::Max]) {
                        add(process, value(at), 0.0, Some(merge));
                    }
                    add(process, value(3), time(4), Some(GaugeMerge::MostRecent));
                }
                GaugeContent::Of(number) => {
                    add(processes[usize::from(number)], value(0), 0.0, Some(GaugeMerge::All));
                }
            }
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

    fn add_series(&mut self, first_cell: u32, values: &[&str], index: &mut Index, layout: &mut Layout) {
        self.encoded.clear();
        for (name, at) in &self.labels {
            labels::encode(name, &mut self.encoded);
            labels::encode(values[*at], &mut self.encoded);
        }
        let series = index.intern_series(self.family, &self.encoded);
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
            (Shape::Gauge(mode), _) => {
                let content = match mode.merge() {
                    GaugeMerge::MostRecent => GaugeContent::ValueAndTime,
                    _ => GaugeContent::Value,
                };
                layout.gauges.push(GaugeCells { series, first: first_cell, content });
            }
            (Shape::Folded(Folded::Gauge(_)), _) => {
                layout.gauges.push(GaugeCells { series, first: first_cell, content: GaugeContent::Folded });
            }
            (&Shape::Folded(Folded::GaugeOf { process, .. }), _) => {
                let content = GaugeContent::Of(process);
                layout.gauges.push(GaugeCells { series, first: first_cell, content });
            }
            // The index made the sums for the same kind.
            _ => {}
        }
    }
}
