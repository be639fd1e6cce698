//! This process's own metrics as text, without the merge over others; and as they are, for who makes more of them.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use headcount_store::FileError;
use headcount_store::cell::{decode_gauge, decode_states};
use headcount_store::format::family::{Family, Native, Shape};
use headcount_store::format::record::{Record, Values};
use headcount_store::metric::Kind;
use headcount_store::read::Image;
use headcount_store::text::{Sample, Value, write_bound, write_family, write_labels};
use headcount_store::write::Registration;

use crate::registry::Registry;

/// The metrics of this process in the default registry, in the text format 0.0.4.
///
/// For the merge over all processes, ask the supervisor, or `headcount_merge`.
///
/// ```
/// headcount::Counter::new("jobs", "Jobs done.")?.inc();
/// let page = "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total 1\n";
/// assert_eq!(headcount::render(), page);
/// # Ok::<(), headcount::RegisterError>(())
/// ```
#[must_use]
pub fn render() -> String {
    Registry::global().map(Registry::render).unwrap_or_default()
}

impl Registry {
    /// The metrics of this process in this registry, in the text format 0.0.4.
    #[must_use]
    pub fn render(self) -> String {
        let Some(store) = self.store() else { return String::new() };
        let image = Registration::begin().image(store);
        // Nothing is all that can be said of a file that was damaged from outside.
        let text = image.and_then(|image| render_image(&image)).unwrap_or_default();
        String::from_utf8(text).unwrap_or_default()
    }

    /// Opens what this process records in this registry, for reading: a file of the directory, or one in memory that
    /// nobody else sees. `headcount_merge::Merger::merge_process` makes every format of it.
    ///
    /// ```
    /// headcount::Counter::new("jobs", "Jobs done.")?.inc();
    /// let file = headcount::Registry::global()?.open()?;
    /// assert!(file.metadata()?.len() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is none: the registry could not be created, or a fork left this process without one.
    pub fn open(self) -> io::Result<File> {
        let store = self.store().ok_or(io::ErrorKind::Unsupported)?;
        Registration::begin().open(store)
    }
}

fn render_image(image: &Image) -> Result<Vec<u8>, FileError> {
    let mut families: Vec<(Family<'_>, Vec<Series<'_>>)> = Vec::new();
    let mut with_tables = HashMap::new();
    for record in image.records() {
        match record? {
            Record::Family(family) => families.push((family, Vec::new())),
            // Only archives have them.
            Record::Process(_) => {}
            Record::Series { life, .. } if image.cells().life(life).is_removed => {}
            Record::Series { family, first_cell, table, values, .. } => {
                let series = &mut families[family as usize].1;
                let part = Part { first_cell, places: table.map_or(0, |table| table.places) };
                // One that has several tables is described several times.
                let known = with_tables.entry((family, values)).or_insert(series.len());
                match series.get_mut(*known).filter(|_| table.is_some()) {
                    Some(series) => series.more.push(part),
                    None => series.push(Series { first: part, more: Vec::new(), values }),
                }
            }
        }
    }
    families.sort_by(|(a, _), (b, _)| a.name.cmp(b.name));
    let (mut out, mut before) = (Vec::new(), None);
    for (family, series) in &families {
        let kind = family.shape.kind();
        let name = format!("{}{}", family.name, kind.name_suffix());
        // Labels of its own make a family of its own, but not in an exposition.
        let begun = Some((family.name, kind));
        if before != begun {
            write_family(&mut out, &name, family.help, kind);
        }
        before = begun;
        series.iter().for_each(|series| series.write(&mut out, image, family, &name));
        if kind == Kind::GaugeHistogram {
            write_gauges(&mut out, image, (family, series), "_gcount", |cells| cells[1..].iter().sum());
            write_gauges(&mut out, image, (family, series), "_gsum", |cells| cells[0]);
        }
    }
    Ok(out)
}

/// The count or the sum of gauge histograms, as a gauge behind their buckets.
fn write_gauges(
    out: &mut Vec<u8>,
    image: &Image,
    (family, series): (&Family<'_>, &[Series<'_>]),
    suffix: &str,
    value: impl Fn(&[f64]) -> f64,
) {
    let name = format!("{}{suffix}", family.name);
    let set = series.iter().filter_map(|series| Some((series, series.gauges(image, family)?)));
    for (at, (series, cells)) in set.enumerate() {
        if at == 0 {
            write_family(out, &name, family.help, Kind::Gauge);
        }
        let mut labels = Vec::new();
        write_labels(&mut labels, family.labels.iter().zip(series.values.iter()));
        let sample = Sample { family: name.as_bytes(), suffix: "", labels: &labels, bound: None };
        sample.write(out, Value::Float(value(&cells)));
    }
}

struct Series<'a> {
    first: Part,
    more: Vec<Part>,
    values: Values<'a>,
}

/// The summed cells of a series, or some of them.
struct Part {
    first_cell: u32,
    /// How many places of a table there are.
    places: u32,
}

impl Series<'_> {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// The cells of a gauge histogram, which are those of gauges; `None` if it was never set.
    fn gauges(&self, image: &Image, family: &Family<'_>) -> Option<Vec<f64>> {
        let cells = (self.first.first_cell..).take(family.shape.cells());
        let cells: Vec<_> = cells.map(|cell| decode_gauge(image.cells().shared(cell))).collect();
        cells[0].map(|_| cells.into_iter().map(|cell| cell.unwrap_or(0.0)).collect())
    }

    fn write(&self, out: &mut Vec<u8>, image: &Image, family: &Family<'_>, name: &str) {
        let first = self.first.first_cell;
        let mut labels = Vec::new();
        write_labels(&mut labels, family.labels.iter().zip(self.values.iter()));
        let mut sample = |suffix, bound: Option<f64>, value| {
            let mut spelled = Vec::new();
            bound.into_iter().for_each(|bound| write_bound(&mut spelled, bound));
            let bound = bound.map(|_| spelled.as_slice());
            Sample { family: name.as_bytes(), suffix, labels: &labels, bound }.write(out, value);
        };
        match &family.shape {
            Shape::Counter => sample("", None, Value::Integer(image.cells().sum(first))),
            Shape::FloatCounter => sample("", None, Value::Float(image.cells().sum_f64(first))),
            Shape::UpDown(_) => sample("", None, Value::Float(image.cells().sum_f64(first))),
            Shape::Info => sample("", None, Value::Integer(1)),
            Shape::StateSet { states } => self.write_states(out, image, family, states),
            Shape::GaugeHistogram { bounds } => {
                let mut count = 0.0;
                let cells = self.gauges(image, family).unwrap_or_default();
                for (bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(cells.iter().skip(1)) {
                    count += cell;
                    sample("_bucket", Some(*bound), Value::Float(count));
                }
            }
            Shape::Gauge(_) => {
                if let Some(value) = decode_gauge(image.cells().shared(first)) {
                    sample("", None, Value::Float(value));
                }
            }
            Shape::Histogram { bounds } => {
                sample("_sum", None, Value::Float(image.cells().sum_f64(first)));
                let mut count: u64 = 0;
                for (bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first + 1..) {
                    count = count.wrapping_add(image.cells().sum(cell));
                    sample("_bucket", Some(*bound), Value::Integer(count));
                }
                sample("_count", None, Value::Integer(count));
            }
            Shape::Summary => {
                sample("_count", None, Value::Integer(image.cells().sum(first + 1)));
                sample("_sum", None, Value::Float(image.cells().sum_f64(first)));
            }
            Shape::NativeHistogram(native) => {
                let cells = image.cells();
                let sum = self.parts().map(|part| cells.sum_f64(part.first_cell)).sum();
                sample("_sum", None, Value::Float(sum));
                let mut count: u64 = 0;
                for (bound, buckets) in native.bounds.iter().chain(&[f64::INFINITY]).zip(Native::CLASSIC..) {
                    for part in self.parts() {
                        // Where no bound was declared, all that was observed is in the last bucket.
                        let all = Native::ZERO..native.first_place() + part.places;
                        let counted = if native.bounds.is_empty() { all } else { buckets..buckets + 1 };
                        let counted = counted.map(|cell| cells.sum(part.first_cell + cell));
                        count = counted.fold(count, u64::wrapping_add);
                    }
                    sample("_bucket", Some(*bound), Value::Integer(count));
                }
                sample("_count", None, Value::Integer(count));
            }
            // Only archives have such.
            Shape::Folded(_) => {}
        }
    }

    fn write_states(&self, out: &mut Vec<u8>, image: &Image, family: &Family<'_>, states: &[String]) {
        let Some(on) = decode_states(image.cells().shared(self.first.first_cell)) else { return };
        for (bit, state) in states.iter().enumerate() {
            let mut labels = Vec::new();
            let own = family.labels.iter().copied().zip(self.values.iter());
            write_labels(&mut labels, own.chain([(family.name, state.as_str())]));
            Sample { family: family.name.as_bytes(), suffix: "", labels: &labels, bound: None }
                .write(out, Value::Integer(on >> bit & 1));
        }
    }
}
