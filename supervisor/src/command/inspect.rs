//! `headcount inspect`: every entry of a file, ours or a peer's.
//!
//! Of our own files, each value of a series is an entry, and its key is spelled as Python's client would
//! spell it; so is each exemplar, with its own labels in the place of the help text, and since when the series is. What
//! the process has removed counts on, and says so. Of a peer's, the key is what is stored, whatever it is.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use headcount_store::FileError;
use headcount_store::cell::{Life, decode_gauge, decode_states};
use headcount_store::directory::open_regular;
use headcount_store::exponential::{Key, Schema};
use headcount_store::format::exemplar::Exemplar;
use headcount_store::format::family::{Family, Native, Shape};
use headcount_store::format::folded::{Folded, FoldedProcess};
use headcount_store::format::header::MAGIC;
use headcount_store::format::record::{Record, Values};
use headcount_store::format::table::Table;
use headcount_store::metric::{GaugeMerge, Kind};
use headcount_store::peer::{self, PeerFile};
use headcount_store::read::Image;
use headcount_store::text::{Value, write_bound, write_value};
use serde_json::json;

use super::Done;
use crate::cli::InspectArgs;

/// A file that cannot be read as any of the formats.
#[derive(Debug, thiserror::Error)]
#[error("{path}")]
struct InspectError {
    path: String,
    source: FileError,
}

/// A value of a file, and where it stands: a byte in a peer's file, a cell in one of ours.
struct Entry {
    key: String,
    value: Value,
    time: f64,
    offset: u64,
}

pub(super) fn inspect(args: &InspectArgs) -> Done {
    let mut out = BufWriter::new(io::stdout().lock());
    for path in &args.files {
        let failed = |source| InspectError { path: path.display().to_string(), source };
        let entries = read(path).map_err(failed)?;
        let written =
            if args.json { write_json(&mut out, &entries) } else { write_table(&mut out, path, &entries) };
        match written {
            // A reader that has seen enough is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            written => written?,
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_json(out: &mut impl Write, entries: &[Entry]) -> io::Result<()> {
    for Entry { key, value, time, .. } in entries {
        // What is no number in JSON is one in Python's: NaN, Infinity.
        let value = match value {
            Value::Integer(value) => value.to_string(),
            Value::Float(value) if value.is_nan() => "NaN".to_owned(),
            Value::Float(value) if value.is_infinite() => {
                if *value > 0.0 {
                    "Infinity".to_owned()
                } else {
                    "-Infinity".to_owned()
                }
            }
            Value::Float(value) => json!(value).to_string(),
        };
        writeln!(out, "[{}, {value}, {}]", json!(key), json!(time))?;
    }
    Ok(())
}

fn write_table(out: &mut impl Write, path: &Path, entries: &[Entry]) -> io::Result<()> {
    writeln!(out, "# {}: {} entries", path.display(), entries.len())?;
    writeln!(out, "{:>10}  {:>24}  {:>18}  key", "offset", "value", "timestamp")?;
    for Entry { key, value, time, offset } in entries {
        let mut spelled = Vec::new();
        write_value(&mut spelled, *value);
        writeln!(out, "{offset:>10}  {:>24}  {time:>18}  {key}", String::from_utf8_lossy(&spelled))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Entry>, FileError> {
    let file = open_regular(path)?;
    let mut start = [0; MAGIC.len()];
    let read = std::os::unix::fs::FileExt::read_at(&file, &mut start, 0).map_err(FileError::Unreadable)?;
    if read == MAGIC.len() && start == MAGIC { read_own(&file) } else { read_peer(&file) }
}

fn read_peer(file: &File) -> Result<Vec<Entry>, FileError> {
    let mut buffer = Vec::new();
    PeerFile::new(peer::read(file, &mut buffer)?)?
        .entries()
        .map(|entry| {
            let key = std::str::from_utf8(entry.key);
            let key = key.map_err(|_| FileError::InvalidUtf8 { offset: entry.offset })?;
            let (value, time, offset) = (Value::Float(entry.value), entry.time, entry.offset);
            Ok(Entry { key: key.to_owned(), value, time, offset })
        })
        .collect()
}

fn read_own(file: &File) -> Result<Vec<Entry>, FileError> {
    let image = Image::read(file)?;
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut processes: Vec<FoldedProcess<'_>> = Vec::new();
    let mut entries = Vec::new();
    let mut exemplars: HashMap<u32, Vec<Exemplar>> = HashMap::new();
    image.cells().exemplars().for_each(|exemplar| exemplars.entry(exemplar.cell).or_default().push(exemplar));
    for record in image.records() {
        match record? {
            Record::Family(family) => families.push(family),
            Record::Series { family, first_cell, life, table, values } => {
                let family = &families[family as usize];
                let cells = SeriesCells { first: first_cell, table, life };
                add_series(&image, family, &processes, &cells, values, &exemplars, &mut entries);
            }
            Record::Process(process) => processes.push(process),
        }
    }
    Ok(entries)
}

/// Where a series has its cells.
struct SeriesCells {
    first: u32,
    table: Option<Table>,
    life: Option<u32>,
}

fn add_series(
    image: &Image,
    family: &Family<'_>,
    processes: &[FoldedProcess<'_>],
    &SeriesCells { first, table, life: life_cell }: &SeriesCells,
    values: Values<'_>,
    exemplars: &HashMap<u32, Vec<Exemplar>>,
    entries: &mut Vec<Entry>,
) {
    let mut labels: serde_json::Map<String, serde_json::Value> =
        family.labels.iter().map(|&name| name.to_owned()).zip(values.iter().map(Into::into)).collect();
    if let Shape::Folded(Folded::GaugeOf { process, .. } | Folded::InfoOf { process }) = family.shape {
        let pid = processes.get(usize::from(process)).map_or("", |process| process.name);
        labels.insert("pid".to_owned(), pid.into());
    }
    // Those of a native histogram that are no buckets with bounds.
    let own_cells: Vec<u32> = family.shape.native().zip(table).map_or_else(Vec::new, |(native, table)| {
        let places = first + native.first_place()..first + native.first_place() + table.places;
        [first + Native::ZERO, first + Native::NOWHERE].into_iter().chain(places).collect()
    });
    let life = image.cells().life(life_cell);
    let removed = if life.is_removed { " (removed)" } else { "" };
    if let Some((cell, created)) = life_cell.zip(created(image, family, life)) {
        let name = format!("{}_created{removed}", family.name);
        let key = json!([family.name, name, labels, family.help]).to_string();
        entries.push(Entry { key, value: Value::Float(created), time: 0.0, offset: cell.into() });
    }
    let mut add = |suffix: &str, bucket: Option<Bucket>, cell: u32, value: Value, time: f64| {
        let mut labels = labels.clone();
        if let Some(bucket) = bucket {
            let (name, bounds) = bucket.label();
            labels.insert(name.to_owned(), bounds.into());
        }
        let name = format!("{}{suffix}{removed}", family.name);
        let key = json!([family.name, name, labels, family.help]).to_string();
        entries.push(Entry { key, value, time, offset: cell.into() });
        // Cells of other kinds are counted by themselves, and those of a native histogram's places hold others'.
        let has_exemplars =
            matches!(family.shape.kind(), Kind::Counter | Kind::Histogram) && !own_cells.contains(&cell);
        for exemplar in exemplars.get(&cell).into_iter().flatten().filter(|_| has_exemplars) {
            entries.push(exemplar_entry(family, suffix, &labels, exemplar));
        }
    };
    let sum = |cell: u32| Value::Integer(image.cells().sum(cell));
    let sum_f64 = |cell: u32| Value::Float(image.cells().sum_f64(cell));
    let shared = |cell: u32| image.cells().shared(cell);
    if let Shape::StateSet { states } = &family.shape {
        let Some(on) = decode_states(image.cells().shared(first)) else { return };
        for (bit, state) in states.iter().enumerate() {
            labels.insert(family.name.to_owned(), state.as_str().into());
            let key = json!([family.name, family.name, labels, family.help]).to_string();
            let (value, time, offset) = (Value::Integer(on >> bit & 1), 0.0, first.into());
            entries.push(Entry { key, value, time, offset });
        }
        return;
    }
    match &family.shape {
        Shape::Counter => add("_total", None, first, sum(first), 0.0),
        Shape::FloatCounter => add("_total", None, first, sum_f64(first), 0.0),
        Shape::Gauge(mode) => {
            let has_time = mode.merge() == GaugeMerge::MostRecent;
            let time = if has_time { f64::from_bits(shared(first + 1)) } else { 0.0 };
            // A gauge that was never set has no entry.
            if let Some(value) = decode_gauge(shared(first)) {
                add("", None, first, Value::Float(value), time);
            }
        }
        Shape::UpDown(_) => add("", None, first, sum_f64(first), 0.0),
        Shape::Info | Shape::Folded(Folded::InfoOf { .. }) => {
            add("_info", None, first, Value::Integer(1), 0.0)
        }
        // Above.
        Shape::StateSet { .. } => {}
        Shape::Folded(Folded::NamedCounter) => add("", None, first, sum_f64(first), 0.0),
        Shape::Folded(Folded::Gauge(_)) => {
            for (suffix, cell) in [(" (sum)", first), (" (min)", first + 1), (" (max)", first + 2)] {
                let value = decode_gauge(shared(cell)).map(Value::Float);
                value.into_iter().for_each(|value| add(suffix, None, cell, value, 0.0));
            }
            let (cell, time) = (first + 3, f64::from_bits(shared(first + 4)));
            let value = decode_gauge(shared(cell)).map(Value::Float);
            value.into_iter().for_each(|value| add(" (mostrecent)", None, cell, value, time));
        }
        Shape::Folded(Folded::GaugeOf { .. }) => {
            if let Some(value) = decode_gauge(shared(first)) {
                add("", None, first, Value::Float(value), 0.0);
            }
        }
        Shape::Folded(Folded::Summary) => {
            add("_count", None, first + 1, sum_f64(first + 1), 0.0);
            add("_sum", None, first, sum_f64(first), 0.0);
        }
        Shape::Folded(Folded::Histogram { bounds }) => {
            add("_sum", None, first, sum_f64(first), 0.0);
            for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first + 1..) {
                add("_bucket", Some(Bucket::UpTo(bound)), cell, sum_f64(cell), 0.0);
            }
        }
        Shape::Summary => {
            add("_count", None, first + 1, sum(first + 1), 0.0);
            add("_sum", None, first, sum_f64(first), 0.0);
        }
        Shape::GaugeHistogram { bounds } => {
            let gauge = |cell| Value::Float(decode_gauge(shared(cell)).unwrap_or(0.0));
            // One that was never set has no entry.
            if decode_gauge(shared(first)).is_some() {
                add("_gsum", None, first, gauge(first), 0.0);
                for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first + 1..) {
                    add("_bucket", Some(Bucket::UpTo(bound)), cell, gauge(cell), 0.0);
                }
            }
        }
        Shape::Histogram { bounds } => {
            add("_sum", None, first, sum_f64(first), 0.0);
            for (&bound, cell) in bounds.iter().chain(&[f64::INFINITY]).zip(first + 1..) {
                add("_bucket", Some(Bucket::UpTo(bound)), cell, sum(cell), 0.0);
            }
        }
        Shape::NativeHistogram(_) => add("_sum", None, first, sum_f64(first), 0.0),
        Shape::Folded(Folded::NativeHistogram(_)) => add(" (in buckets)", None, first, sum(first), 0.0),
    }
    let (Some(native), Some(table)) = (family.shape.native(), table) else { return };
    for (suffix, cell) in [(" (zero)", first + Native::ZERO), (" (NaN)", first + Native::NOWHERE)] {
        add(suffix, None, cell, sum(cell), 0.0);
    }
    for (at, cell) in (0..table.places).zip(first + native.first_place()..) {
        if let Some(key) = Key::decode(shared(table.first_key + at), table.schema) {
            add(" (bucket)", Some(Bucket::Of(key, table.schema)), cell, sum(cell), 0.0);
        }
    }
    if !native.bounds.is_empty() {
        for (&bound, cell) in native.bounds.iter().chain(&[f64::INFINITY]).zip(first + Native::CLASSIC..) {
            add("_bucket", Some(Bucket::UpTo(bound)), cell, sum(cell), 0.0);
        }
    }
    let own_exemplars = own_cells.iter().filter_map(|cell| exemplars.get(cell)).flatten();
    entries.extend(own_exemplars.map(|exemplar| exemplar_entry(family, "", &labels, exemplar)));
}

fn exemplar_entry(
    family: &Family<'_>,
    suffix: &str,
    labels: &serde_json::Map<String, serde_json::Value>,
    exemplar: &Exemplar,
) -> Entry {
    let own: BTreeMap<_, _> = exemplar.labels.iter().collect();
    let name = format!("{}{suffix} (exemplar)", family.name);
    let key = json!([family.name, name, labels, own]).to_string();
    let (value, time) = (Value::Float(exemplar.value), exemplar.time);
    Entry { key, value, time, offset: exemplar.cell.into() }
}

/// Since when a series is, in seconds since 1970, if it is of a kind that says so and it is known.
fn created(image: &Image, family: &Family<'_>, life: Life) -> Option<f64> {
    let header = image.header();
    let created = match life.created {
        0 if header.folded > 0 => return None,
        0 => Duration::from_nanos(header.created),
        milliseconds => Duration::from_millis(milliseconds),
    };
    matches!(family.shape.kind(), Kind::Counter | Kind::Histogram | Kind::Summary)
        .then_some(created.as_secs_f64())
}

/// What a bucket holds.
enum Bucket {
    /// Of a histogram with bounds.
    UpTo(f64),
    /// Of a native histogram.
    Of(Key, Schema),
}

impl Bucket {
    /// As a label.
    fn label(&self) -> (&'static str, String) {
        match *self {
            Self::UpTo(bound) => {
                let mut spelled = Vec::new();
                write_bound(&mut spelled, bound);
                ("le", String::from_utf8_lossy(&spelled).into_owned())
            }
            Self::Of(Key { is_negative, index }, schema) => {
                let [near, far] = [index - 1, index].map(|index| schema.upper_bound(index));
                (
                    "bucket",
                    if is_negative { format!("[-{far:e},-{near:e})") } else { format!("({near:e},{far:e}]") },
                )
            }
        }
    }
}
