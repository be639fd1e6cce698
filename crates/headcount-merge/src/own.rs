//! What one of our own files contributes.
//!
//! Its descriptions are decoded once for all files that have the same: workers of one program register
//! the same metrics in the same order, so most often the bytes are equal. What is left is adding cells.

use std::ops::Range;

use headcount_store::FileError;
use headcount_store::cell::decode_gauge;
use headcount_store::format::family::{Family, Shape};
use headcount_store::format::record::{Record, Values};
use headcount_store::image::Image;
use headcount_store::metric::{GaugeMerge, Kind};

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

/// Every set of descriptions that was met.
#[derive(Debug, Default)]
pub(crate) struct Layouts(Vec<Layout>);

impl Layouts {
    /// Finds or decodes the layout of a file.
    ///
    /// # Errors
    ///
    /// When the descriptions are malformed; the index may then know families without values.
    pub(crate) fn resolve(&mut self, image: &Image, index: &mut Index) -> Result<usize, FileError> {
        if let Some(known) = self.0.iter().position(|layout| layout.records == image.record_bytes()) {
            return Ok(known);
        }
        check(image)?;
        let mut layout = Layout { records: image.record_bytes().to_vec(), ..Layout::default() };
        let mut families: Vec<Described> = Vec::new();
        for record in image.records() {
            match record? {
                Record::Family(family) => families.push(Described::new(&family, index)),
                Record::Series { family, first_cell, values } => {
                    families[family as usize].add_series(first_cell, values, index, &mut layout);
                }
            }
        }
        self.0.push(layout);
        Ok(self.0.len() - 1)
    }

    /// Adds a file's cells to the totals, and its gauges to the readings.
    pub(crate) fn apply(
        &self,
        layout: usize,
        image: &Image,
        process: u32,
        totals: &mut Totals,
        readings: &mut Vec<Reading>,
    ) {
        let Layout { runs, gauges, .. } = &self.0[layout];
        for slab in image.slabs() {
            for run in runs {
                // A slab ends with the last cell that its threads have touched, rounded up.
                let start = (run.cells.start as usize).min(slab.len());
                let end = (run.cells.end as usize).min(slab.len());
                match run.number {
                    Number::Integer => totals.add_integers(run.first_slot, &slab[start..end]),
                    Number::Float => totals.add_floats(run.first_slot, &slab[start..end]),
                }
            }
        }
        let shared = |cell: u32| image.shared().get(cell as usize).copied().unwrap_or(0);
        for gauge in gauges {
            let Some(value) = decode_gauge(shared(gauge.first)) else { continue };
            let time = match gauge.merge {
                GaugeMerge::MostRecent => f64::from_bits(shared(gauge.first + 1)),
                _ => 0.0,
            };
            readings.push(Reading { series: gauge.series, process, value, time });
        }
    }
}

/// Goes through all descriptions before the index learns of any: a file is taken whole or not at all.
fn check(image: &Image) -> Result<(), FileError> {
    let malformed = |what| FileError::BadDescription { offset: 0, what };
    let mut cells = Vec::new();
    for record in image.records() {
        match record? {
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
                if first_cell as usize + cells[family as usize] > u32::MAX as usize {
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
        if let Shape::Gauge(mode) = family.shape {
            index.add_mode(interned, mode);
        }
        // A gauge's `pid` is the merge's to say.
        let kept = |label: &str| kind != Kind::Gauge || label != "pid";
        let mut labels: Vec<_> = family.labels.iter().map(|&label| label.to_owned()).zip(0..).collect();
        labels.retain(|(label, _)| kept(label));
        labels.sort_unstable();
        Self { family: interned, shape: family.shape.clone(), labels, encoded: Vec::new() }
    }

    fn add_series(&mut self, first_cell: u32, values: Values<'_>, index: &mut Index, layout: &mut Layout) {
        self.encoded.clear();
        // Most families have a few labels: looking each up from the start costs less than a table.
        for (name, at) in &self.labels {
            labels::encode(name, &mut self.encoded);
            labels::encode(values.iter().nth(*at).unwrap_or_default(), &mut self.encoded);
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

impl Layout {
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
