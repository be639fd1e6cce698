//! Files of the format as no library writes them, but a worker could: any description, any value in any cell.
//!
//! What is in the files keeps to the format, so every file is read. Only the names of samples, of which there are few,
//! make it likely that files and families get into each other's way.

use std::time::SystemTime;

use headcount_store::cell::{Life, encode_gauge, encode_states};
use headcount_store::exponential::{Key, Scale, Schema};
use headcount_store::format::archive::{ArchiveBuilder, Summed};
use headcount_store::format::exemplar::{Exemplar, ExemplarLabels};
use headcount_store::format::family::{Family, Native, Shape};
use headcount_store::format::folded::{Folded, FoldedProcess};
use headcount_store::format::header::Header;
use headcount_store::metric::{GaugeMerge, GaugeMode, Kind, check_label_name};
use headcount_store::process::{Origin, ProcessId};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Names that get into each other's way, and such that no format knows.
pub(crate) fn any_name() -> impl Strategy<Value = String> {
    let plain = ["a", "b_total", "a_total", "a_count", "a_created", "a_bucket", "a_sum", "le", "_", "U__a"];
    let odd =
        ["a.b", "é", "9", "a b", "x\"y", "z\n", "__name__", "a{b=\"c\"}", "#", "a_b.total", "\\", "U__é"];
    let owned = |names: &[&str]| select(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    prop_oneof![8 => owned(&plain), 4 => owned(&odd), 1 => any::<String>().prop_filter("a name", |name| !name.is_empty())]
}

/// What stands in labels and help texts.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let odd = ["", " ", "\"", "\\", "\n", "a\\n\"b", "# EOF", "\r\n", "é\u{2028}", "} 1", "\\\""];
    prop_oneof![select(odd.to_vec()).prop_map(str::to_owned), any::<String>()]
}

/// A value that a float can have.
pub(crate) fn any_value() -> impl Strategy<Value = f64> {
    let odd = [0.0, -0.0, 1.0, -1.0, 0.5, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![4 => (0..1000).prop_map(f64::from), 1 => select(odd.to_vec()), 1 => any::<f64>()]
}

/// What a cell may hold, whatever it is for.
#[derive(Clone, Debug)]
struct Cell {
    count: u64,
    value: f64,
    /// Of a sum, what it is off by, or another thread's.
    rest: f64,
}

impl Cell {
    fn float(&self) -> Summed {
        Summed::Float(self.value, self.rest)
    }

    fn integer(&self) -> Summed {
        Summed::Integer(self.count)
    }
}

fn any_cell() -> impl Strategy<Value = Cell> {
    let count =
        prop_oneof![6 => 0..100_u64, 1 => select(vec![u64::MAX, 1 << 63, (1 << 53) + 1]), 1 => any::<u64>()];
    let rest = prop_oneof![3 => Just(0.0), 1 => any_value()];
    (count, any_value(), rest).prop_map(|(count, value, rest)| Cell { count, value, rest })
}

fn any_key() -> impl Strategy<Value = Key> {
    let index =
        prop_oneof![3 => -5..5, 1 => -(1 << 20)..1 << 20, 1 => select(vec![-(1 << 20), 1 << 20, 262_144])];
    (any::<bool>(), index).prop_map(|(is_negative, index)| Key { is_negative, index })
}

fn any_life() -> impl Strategy<Value = Life> {
    let created = prop_oneof![select(vec![0, 1, 1_700_000_000_000, u64::MAX >> 1]), 0..u64::MAX >> 1];
    (created, prop::bool::weighted(0.2)).prop_map(|(created, is_removed)| Life { created, is_removed })
}

/// An exemplar's value, its time as a distance from now, and a label.
type AnyExemplar = (f64, f64, String);

#[derive(Clone, Debug)]
struct AnySeries {
    /// More than there are labels.
    values: Vec<String>,
    cells: Vec<Cell>,
    keys: Vec<Key>,
    schema: Schema,
    life: Life,
    exemplars: Vec<AnyExemplar>,
}

fn any_schema() -> impl Strategy<Value = Schema> {
    (Schema::MIN.number()..=Schema::MAX.number()).prop_map(|number| Schema::new(number).unwrap())
}

fn any_series() -> impl Strategy<Value = AnySeries> {
    let seconds = prop_oneof![3 => -60.0..10.0, 1 => any_value()];
    // Python's parser of exemplars does not know that a quotation mark may be escaped.
    let label = any_text().prop_map(|text| text.replace('"', "'"));
    let exemplar = (any_value(), seconds, label);
    let (values, cells) = (prop::collection::vec(any_text(), 3), prop::collection::vec(any_cell(), 16));
    let (keys, exemplars) = (prop::collection::vec(any_key(), 0..8), prop::collection::vec(exemplar, 0..3));
    (values, cells, keys, any_schema(), any_life(), exemplars).prop_map(
        |(values, cells, keys, schema, life, exemplars)| AnySeries {
            values,
            cells,
            keys,
            schema,
            life,
            exemplars,
        },
    )
}

fn any_bounds() -> impl Strategy<Value = Vec<f64>> {
    subsequence(vec![f64::NEG_INFINITY, -2.5, -0.0, 1e-300, 0.1, 1.0, 1e6, f64::MAX], 0..5)
}

fn any_native() -> impl Strategy<Value = Native> {
    let (thresholds, limits) = (vec![0.0, 1e-128, 0.1, 1.0, f64::MAX], vec![0, 1, 4, 160, u16::MAX]);
    (any_schema(), select(thresholds), select(limits), any_bounds()).prop_map(
        |(schema, zero_threshold, limit, bounds)| Native {
            scale: Scale { schema, zero_threshold },
            limit,
            bounds,
        },
    )
}

/// How many processes an archive describes.
const PROCESSES: u16 = 3;

fn any_shape(is_archive: bool) -> BoxedStrategy<Shape> {
    let mode = || select(GaugeMode::EVERY.to_vec());
    let states = ["", "on", "off", "a\"b", "é", "\n"].map(str::to_owned).to_vec();
    let of_process = prop_oneof![
        Just(Shape::Counter),
        Just(Shape::FloatCounter),
        mode().prop_map(Shape::Gauge),
        any_bounds().prop_map(|bounds| Shape::Histogram { bounds }),
        Just(Shape::Summary),
        mode().prop_map(Shape::UpDown),
        any_bounds().prop_map(|bounds| Shape::GaugeHistogram { bounds }),
        Just(Shape::Info),
        subsequence(states, 0..=6).prop_map(|states| Shape::StateSet { states }),
        any_native().prop_map(Shape::NativeHistogram),
    ];
    if !is_archive {
        return of_process.boxed();
    }
    let folded = prop_oneof![
        Just(Folded::NamedCounter),
        mode().prop_map(Folded::Gauge),
        (mode(), 0..PROCESSES).prop_map(|(mode, process)| Folded::GaugeOf { mode, process }),
        any_bounds().prop_map(|bounds| Folded::Histogram { bounds }),
        Just(Folded::Summary),
        (0..PROCESSES).prop_map(|process| Folded::InfoOf { process }),
        any_native().prop_map(Folded::NativeHistogram),
    ];
    prop_oneof![of_process, folded.prop_map(Shape::Folded)].boxed()
}

#[derive(Clone, Debug)]
struct AnyFamily {
    name: String,
    help: String,
    unit: String,
    shape: Shape,
    labels: Vec<String>,
    series: Vec<AnySeries>,
}

fn any_family(is_archive: bool) -> impl Strategy<Value = AnyFamily> {
    let units = ["", "", "total", "count", "b", "created"].map(str::to_owned).to_vec();
    let unit = prop_oneof![4 => select(units), 1 => any_text()];
    let (labels, series) =
        (prop::collection::vec(any_name(), 0..3), prop::collection::vec(any_series(), 1..4));
    (any_name(), any_text(), unit, any_shape(is_archive), labels, series).prop_map(
        |(mut name, help, unit, shape, mut labels, series)| {
            // What follows is refused, with the whole file.
            if matches!(shape, Shape::StateSet { .. }) && check_label_name(&name).is_err() {
                "a".clone_into(&mut name);
            }
            labels.dedup();
            labels.retain(|label| match shape.kind() {
                Kind::Gauge => true,
                Kind::StateSet => *label != name,
                kind => label != kind.own_label(),
            });
            AnyFamily { name, help, unit, shape, labels, series }
        },
    )
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A process that may live.
    Process,
    /// Several that are dead.
    Archive,
}

/// A file, as its bytes.
pub(crate) fn any_file(of: Of) -> impl Strategy<Value = Vec<u8>> {
    let families = prop::collection::vec(any_family(of == Of::Archive), 1..6);
    let pids = prop::collection::vec(any_text(), usize::from(PROCESSES));
    (families, pids, 1..5_u32).prop_map(move |(families, pids, pid)| encode(of, &families, &pids, pid))
}

fn encode(of: Of, families: &[AnyFamily], pids: &[String], pid: u32) -> Vec<u8> {
    let mut file = ArchiveBuilder::default();
    if of == Of::Archive {
        for (name, number) in pids.iter().zip(0..) {
            let process = FoldedProcess { name, pid_namespace: 0, order: number % 2, buried: number };
            file.process(&process).unwrap();
        }
    }
    for family in families {
        add(&mut file, family);
    }
    file.encode(&header(of, pid), &[])
}

/// A header that says as much as it can.
pub(crate) fn header(of: Of, pid: u32) -> Header {
    Header {
        process: ProcessId { pid, ..ProcessId::default() },
        origin: Origin::default(),
        created: u64::from(pid),
        extent_count: 0,
        records_used: 0,
        lost_series: u64::MAX,
        lost_updates: u64::MAX,
        lost_exemplars: u64::MAX,
        folded: if of == Of::Archive { u64::MAX } else { 0 },
    }
}

fn add(file: &mut ArchiveBuilder, family: &AnyFamily) {
    let AnyFamily { name, help, unit, shape, labels, series } = family;
    let (shape, label_names) = (shape.clone(), labels.iter().map(String::as_str).collect());
    let number = file.family(&Family { name, help, unit, shape, labels: label_names }).unwrap();
    for series in series {
        let values: Vec<_> = series.values.iter().take(labels.len()).map(String::as_str).collect();
        add_series(file, number, family, series, &values);
    }
}

fn add_series(
    file: &mut ArchiveBuilder,
    number: u32,
    family: &AnyFamily,
    series: &AnySeries,
    values: &[&str],
) {
    let count = family.shape.cells();
    let cells = || series.cells.iter().cycle();
    let gauges = |count| cells().take(count).map(|cell| encode_gauge(cell.value)).collect::<Vec<_>>();
    let first_is_float = |count: usize| {
        let rest = cells().skip(1).take(count - 1).map(Cell::integer);
        std::iter::once(series.cells[0].float()).chain(rest).collect::<Vec<_>>()
    };
    let time = series.cells[1].value.to_bits();
    let summed = match &family.shape {
        Shape::Counter => vec![series.cells[0].integer()],
        Shape::FloatCounter
        | Shape::UpDown(_)
        | Shape::Folded(Folded::NamedCounter | Folded::Histogram { .. } | Folded::Summary) => {
            cells().take(count).map(Cell::float).collect()
        }
        Shape::Histogram { .. } | Shape::Summary => first_is_float(count),
        Shape::Info | Shape::Folded(Folded::InfoOf { .. }) => vec![],
        Shape::NativeHistogram(_) | Shape::Folded(Folded::NativeHistogram(_)) => {
            let cells = native_cells(series, &family.shape);
            let table = (series.schema, &*series.keys);
            file.table(number, values, table, &cells, series.life).unwrap();
            return;
        }
        Shape::Gauge(mode) if mode.merge() == GaugeMerge::MostRecent => {
            return file.shared(number, values, &[gauges(1)[0], time]).unwrap();
        }
        Shape::StateSet { .. } => {
            return file.shared(number, values, &[encode_states(series.cells[0].count)]).unwrap();
        }
        Shape::Gauge(_) | Shape::GaugeHistogram { .. } | Shape::Folded(Folded::GaugeOf { .. }) => {
            return file.shared(number, values, &gauges(count)).unwrap();
        }
        Shape::Folded(Folded::Gauge(_)) => {
            return file.shared(number, values, &[gauges(4), vec![time]].concat()).unwrap();
        }
    };
    let first = file.summed(number, values, &summed, series.life).unwrap();
    for (index, exemplar) in (0..).zip(&series.exemplars) {
        add_exemplar(file, first + index, exemplar);
    }
}

/// The cells of a native histogram, whose buckets agree: what is in one with a bound is in another one, too. Where they
/// do not, formats that show these have other counts than those that show the others.
fn native_cells(series: &AnySeries, shape: &Shape) -> Vec<Summed> {
    let places = series.cells.iter().cycle().skip(1).take(series.keys.len()).map(Cell::integer);
    let zero = series.cells[0].count;
    let all = series.cells.iter().cycle().skip(1).take(series.keys.len());
    let count = all.fold(zero, |sum, cell| sum.wrapping_add(cell.count));
    let before = match shape {
        Shape::NativeHistogram(native) => {
            let mut before = vec![series.cells[0].float(), Summed::Integer(zero), Summed::Integer(0)];
            before.resize(native.first_place() as usize, Summed::Integer(0));
            if !native.bounds.is_empty() {
                before.pop();
                before.push(Summed::Integer(count));
            }
            before
        }
        _ => [count, zero, 0].map(Summed::Integer).to_vec(),
    };
    before.into_iter().chain(places).collect()
}

fn add_exemplar(file: &mut ArchiveBuilder, cell: u32, (value, seconds, label): &AnyExemplar) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    // Not every text is short enough.
    if let Ok(labels) = ExemplarLabels::new(&[("trace_id", label)]) {
        file.exemplar(&Exemplar { cell, value: *value, time: now + seconds, labels });
    }
}
