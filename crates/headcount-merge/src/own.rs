//! What one of our own files contributes.
//!
//! Its descriptions are decoded once for all files that have the same: workers of one program register
//! the same metrics in the same order, so most often the bytes are equal. And they never change: of a
//! file that was read before and describes nothing new, only the cells are read.

use std::ops::Range;
use std::sync::Arc;

use headcount_store::FileError;
use headcount_store::cell::decode_gauge;
use headcount_store::format::family::{Family, Shape};
use headcount_store::format::record::{Record, Records};
use headcount_store::metric::{GaugeMerge, GaugeMode, Kind};
use headcount_store::read::{Cells, Reader};

use crate::gauge::Reading;
use crate::index::{Index, Sums};
use crate::labels;
use crate::totals::{Slot, Totals};

/// Where the cells of files with these descriptions go.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    records: Vec<u8>,
    /// Summed cells, in the order of the cells.
    runs: Vec<Run>,
    gauges: Vec<GaugeCells>,
    /// Families of gauges, and the mode in which these files have each.
    modes: Vec<(u32, GaugeMode)>,
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
    merge: GaugeMerge,
}

/// What is known of one of our files.
#[derive(Debug)]
pub(crate) struct OwnFile {
    layout: Arc<Layout>,
    /// A later file with the same inode was created at another time.
    created: u64,
}

/// Every set of descriptions that some file has.
#[derive(Debug, Default)]
pub(crate) struct Layouts {
    all: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    layout: Arc<Layout>,
    /// Whether there is another with all that this one has, and more.
    is_superseded: bool,
}

impl Layouts {
    /// Finds or decodes the layout of a file, of which this much may be known. `scratch` is used again.
    ///
    /// # Errors
    ///
    /// When the descriptions are malformed. A file is taken whole or not at all: the index has then learned
    /// nothing.
    pub(crate) fn resolve(
        &mut self,
        reader: &Reader<'_>,
        known: Option<OwnFile>,
        index: &mut Index,
        scratch: &mut Vec<u8>,
    ) -> Result<OwnFile, FileError> {
        let header = reader.header();
        let known = known.filter(|known| known.created == header.created);
        if let Some(known) = known {
            if known.layout.records.len() as u64 == header.records_used {
                return Ok(known);
            }
            let file = self.find_or_decode(reader, index, scratch)?;
            if file.layout.records.starts_with(&known.layout.records) {
                let old = self.all.iter_mut().find(|kept| Arc::ptr_eq(&kept.layout, &known.layout));
                old.into_iter().for_each(|old| old.is_superseded = true);
            }
            return Ok(file);
        }
        self.find_or_decode(reader, index, scratch)
    }

    fn find_or_decode(
        &mut self,
        reader: &Reader<'_>,
        index: &mut Index,
        scratch: &mut Vec<u8>,
    ) -> Result<OwnFile, FileError> {
        let created = reader.header().created;
        // The newest first: most often the next file has the descriptions of the last.
        for Kept { layout, .. } in self.all.iter().rev() {
            if reader.has_records(&layout.records, scratch)? {
                return Ok(OwnFile { layout: Arc::clone(layout), created });
            }
        }
        let layout = Arc::new(Layout::decode(reader, index)?);
        self.all.push(Kept { layout: Arc::clone(&layout), is_superseded: false });
        Ok(OwnFile { layout, created })
    }

    /// Forgets the layouts that no file has any more, and tells whether the index may now hold what no file
    /// describes.
    pub(crate) fn forget_unused(&mut self) -> bool {
        let mut is_lost = false;
        self.all.retain(|kept| {
            let is_used = Arc::strong_count(&kept.layout) > 1;
            is_lost |= !is_used && !kept.is_superseded;
            is_used
        });
        is_lost
    }
}

impl OwnFile {
    /// When the file was created, in nanoseconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.created
    }

    /// Adds the file's cells to the totals, and its gauges to the readings.
    pub(crate) fn apply(
        &self,
        cells: &Cells,
        process: u32,
        index: &mut Index,
        totals: &mut Totals,
        readings: &mut Vec<Reading>,
    ) {
        self.layout.modes.iter().for_each(|&(family, mode)| index.add_mode(family, mode));
        totals.grow(index.slots());
        self.layout.apply(cells, process, totals, readings);
    }
}

impl Layout {
    fn decode(reader: &Reader<'_>, index: &mut Index) -> Result<Self, FileError> {
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
                    if let Shape::Gauge(mode) = described.shape {
                        layout.modes.push((described.family, mode));
                    }
                    families.push(described);
                }
                Record::Series { family, first_cell, values } => {
                    in_order.clear();
                    in_order.extend(values.iter());
                    families[family as usize].add_series(first_cell, &in_order, index, &mut layout);
                }
            }
        }
        layout.records = bytes;
        Ok(layout)
    }

    fn apply(&self, cells: &Cells, process: u32, totals: &mut Totals, readings: &mut Vec<Reading>) {
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
        for gauge in &self.gauges {
            let Some(value) = decode_gauge(cells.shared(gauge.first)) else { continue };
            let time = match gauge.merge {
                GaugeMerge::MostRecent => f64::from_bits(cells.shared(gauge.first + 1)),
                _ => 0.0,
            };
            readings.push(Reading { series: gauge.series, process, value, time });
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
    for record in records {
        match record {
            Record::Family(family) => {
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
    /// The label names, sorted, and where the value of each stands in a series.
    labels: Vec<(String, usize)>,
    encoded: Vec<u8>,
}

impl Described {
    fn new(family: &Family<'_>, index: &mut Index) -> Self {
        let kind = family.shape.kind();
        let total;
        let name = if kind == Kind::Counter {
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
        Self { family: interned, shape: family.shape.clone(), labels, encoded: Vec::new() }
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
            (Shape::FloatCounter, &Sums::One(slot)) => layout.add(first_cell, slot, Number::Float),
            (Shape::Summary, &Sums::Summary { sum, count }) => {
                layout.add(first_cell, sum, Number::Float);
                layout.add(first_cell + 1, count, Number::Integer);
            }
            (Shape::Histogram { bounds }, &Sums::Histogram { sum, .. }) => {
                layout.add(first_cell, sum, Number::Float);
                for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first_cell + 1..) {
                    layout.add(cell, index.intern_bucket(series, bound), Number::Integer);
                }
            }
            (Shape::Gauge(mode), _) => {
                layout.gauges.push(GaugeCells { series, first: first_cell, merge: mode.merge() });
            }
            // The index made the sums for the same kind.
            _ => {}
        }
    }
}
