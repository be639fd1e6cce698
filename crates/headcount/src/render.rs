//! This process's own metrics as text, without the merge over others.

use headcount_store::FileError;
use headcount_store::cell::decode_gauge;
use headcount_store::format::family::{Family, Shape};
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
}

fn render_image(image: &Image) -> Result<Vec<u8>, FileError> {
    let mut families: Vec<(Family<'_>, Vec<Series<'_>>)> = Vec::new();
    for record in image.records() {
        match record? {
            Record::Family(family) => families.push((family, Vec::new())),
            // Only archives have them.
            Record::Process(_) => {}
            Record::Series { family, first_cell, values, .. } => {
                families[family as usize].1.push(Series { first_cell, values });
            }
        }
    }
    families.sort_by(|(a, _), (b, _)| a.name.cmp(b.name));
    let mut out = Vec::new();
    for (family, series) in &families {
        let name = match family.shape.kind() {
            Kind::Counter => format!("{}_total", family.name),
            _ => family.name.to_owned(),
        };
        write_family(&mut out, &name, family.help, family.shape.kind());
        series.iter().for_each(|series| series.write(&mut out, image, family, &name));
    }
    Ok(out)
}

struct Series<'a> {
    first_cell: u32,
    values: Values<'a>,
}

impl Series<'_> {
    fn write(&self, out: &mut Vec<u8>, image: &Image, family: &Family<'_>, name: &str) {
        let first = self.first_cell;
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
            // Only archives have such.
            Shape::Folded(_) => {}
        }
    }
}
