//! The merge against a naive oracle: whatever processes count and set, and however they disagree, the
//! samples are those that thirty obvious lines find.

use std::collections::BTreeMap;
use std::path::Path;

use headcount::{Buckets as Bounds, GaugeMode, Registry};
use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;
use headcount_store::metric::GaugeMerge;
use proptest::prelude::*;

use crate::peer_file::file_bytes;
use crate::sequences::{check_formats, sample_by_sample};

/// What one process does, in order.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) client: Client,
    pub(crate) alive: bool,
    pub(crate) updates: Vec<Update>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Client {
    Own,
    Python,
}

#[derive(Clone, Debug)]
pub(crate) enum Update {
    Count { label: String, n: u8 },
    Set { mode: GaugeMode, label: String, value: i8 },
    Observe { label: String, value: f64, wide: bool },
    Summarise { label: String, value: i8 },
}

const WIDE: [f64; 3] = [1.0, 10.0, 100.0];
const NARROW: [f64; 3] = [1.0, 2.0, 4.0];

fn bounds(wide: bool) -> [f64; 3] {
    if wide { WIDE } else { NARROW }
}

/// A sample's line up to the value.
type Samples = BTreeMap<String, f64>;

/// The obvious way, from what was done and not from files.
fn oracle(processes: &[Process]) -> Samples {
    let mut samples = Samples::new();
    let mut gauges: BTreeMap<(GaugeMode, &str), Vec<(usize, f64)>> = BTreeMap::new();
    let mut buckets: BTreeMap<&str, BTreeMap<u64, f64>> = BTreeMap::new();
    for (number, process) in processes.iter().enumerate() {
        for update in &process.updates {
            match update {
                Update::Count { label, n } => {
                    *samples.entry(format!("c_total{{l=\"{label}\"}}")).or_default() += f64::from(*n);
                }
                Update::Summarise { label, value } => {
                    *samples.entry(format!("s_count{{l=\"{label}\"}}")).or_default() += 1.0;
                    *samples.entry(format!("s_sum{{l=\"{label}\"}}")).or_default() += f64::from(*value);
                }
                Update::Observe { label, value, wide } => {
                    *samples.entry(format!("h_sum{{l=\"{label}\"}}")).or_default() += value;
                    let own = buckets.entry(label).or_default();
                    for bound in bounds(*wide).into_iter().chain([f64::INFINITY]) {
                        own.entry(bound.to_bits()).or_default();
                    }
                    let bound =
                        bounds(*wide).into_iter().find(|bound| value <= bound).unwrap_or(f64::INFINITY);
                    *own.entry(bound.to_bits()).or_default() += 1.0;
                }
                Update::Set { mode, label, value } => {
                    let readings = gauges.entry((*mode, label)).or_default();
                    readings.retain(|(other, _)| *other != number);
                    readings.push((number, f64::from(*value)));
                }
            }
        }
    }
    for (label, own) in buckets {
        let mut count = 0.0;
        for (bound, n) in own {
            count += n;
            let le = match f64::from_bits(bound) {
                f64::INFINITY => "+Inf".to_owned(),
                bound => format!("{bound:.1}"),
            };
            samples.insert(format!("h_bucket{{l=\"{label}\",le=\"{le}\"}}"), count);
        }
        samples.insert(format!("h_count{{l=\"{label}\"}}"), count);
    }
    for ((mode, label), readings) in gauges {
        let alive = readings.iter().filter(|(number, _)| !mode.is_live() || processes[*number].alive);
        let values: Vec<f64> = alive.clone().map(|(_, value)| *value).collect();
        let one = match mode.merge() {
            GaugeMerge::All => {
                for (number, value) in alive {
                    samples.insert(format!("g_{mode}{{l=\"{label}\",pid=\"{}\"}}", pid(*number)), *value);
                }
                None
            }
            GaugeMerge::Sum => values.iter().copied().reduce(|a, b| a + b),
            GaugeMerge::Min => values.iter().copied().reduce(f64::min),
            GaugeMerge::Max => values.iter().copied().reduce(f64::max),
            // Processes take their turns, so the last one has set last.
            GaugeMerge::MostRecent => values.last().copied(),
        };
        samples.extend(one.map(|value| (format!("g_{mode}{{l=\"{label}\"}}"), value)));
    }
    samples
}

fn pid(number: usize) -> usize {
    1000 + number
}

/// Writes what a process does with our own crate, and gives its file a PID of its own.
pub(crate) fn write_own(directory: &Path, number: usize, process: &Process, mut midway: impl FnMut()) {
    let before: Vec<_> = Directory::open(directory).unwrap().list().unwrap();
    let registry = Registry::in_directory(directory).unwrap();
    let after = Directory::open(directory).unwrap().list().unwrap();
    let new = after.into_iter().find(|name| !before.contains(name)).unwrap();
    let path = directory.join(&new);
    // The PID stands in the header, and is what it is before anybody reads it.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let own = u32::try_from(pid(number)).unwrap().to_le_bytes();
    std::os::unix::fs::FileExt::write_all_at(&file, &own, 16).unwrap();
    for (done, update) in process.updates.iter().enumerate() {
        if done == process.updates.len() / 2 {
            midway();
        }
        match update {
            Update::Count { label, n } => {
                registry.counter_family("c", "help", ["l"]).unwrap().with([label]).add(u64::from(*n));
            }
            Update::Summarise { label, value } => {
                let family = registry.summary_family("s", "help", ["l"]).unwrap();
                family.with([label]).observe(f64::from(*value));
            }
            Update::Observe { label, value, wide } => {
                // Within one process a histogram has one set of buckets.
                let buckets = Bounds::new(bounds(*wide)).unwrap();
                let family = registry.histogram_family("h", "help", buckets, ["l"]).unwrap();
                family.with([label]).observe(*value);
            }
            Update::Set { mode, label, value } => {
                let family = registry.gauge_family(&format!("g_{mode}"), "help", *mode, ["l"]).unwrap();
                family.with([label]).set(f64::from(*value));
            }
        }
    }
    if !process.alive {
        std::fs::rename(&path, directory.join(format!("dead-{number}.hc"))).unwrap();
    }
}

/// Writes what a process does in the bytes of Python's client.
pub(crate) fn write_python(directory: &Path, number: usize, process: &Process, mut midway: impl FnMut()) {
    let (first, _) = process.updates.split_at(process.updates.len() / 2);
    write_python_files(directory, number, &Process { updates: first.to_vec(), ..process.clone() });
    midway();
    write_python_files(directory, number, process);
}

/// The entries of a file: key, and value and time.
type Entries = Vec<(String, (f64, f64))>;

fn write_python_files(directory: &Path, number: usize, process: &Process) {
    // Entries stand in the order in which they are first written.
    let mut files: BTreeMap<String, Entries> = BTreeMap::new();
    let mut entry = |file: &str, key: String, write: &dyn Fn(&mut (f64, f64))| {
        let entries = files.entry(file.to_owned()).or_default();
        let known = entries.iter().position(|(known, _)| *known == key);
        let at = known.unwrap_or_else(|| {
            entries.push((key, (0.0, 0.0)));
            entries.len() - 1
        });
        write(&mut entries[at].1);
    };
    let key = |family: &str, sample: &str, labels: String| {
        format!("[\"{family}\", \"{sample}\", {{{labels}}}, \"help\"]")
    };
    let labelled = |label: &str| format!("\"l\": \"{label}\"");
    for update in &process.updates {
        match update {
            Update::Count { label, n } => {
                entry("counter", key("c", "c_total", labelled(label)), &|value| value.0 += f64::from(*n));
            }
            Update::Summarise { label, value } => {
                entry("summary", key("s", "s_count", labelled(label)), &|count| count.0 += 1.0);
                entry("summary", key("s", "s_sum", labelled(label)), &|sum| sum.0 += f64::from(*value));
            }
            Update::Observe { label, value, wide } => {
                entry("histogram", key("h", "h_sum", labelled(label)), &|sum| sum.0 += value);
                let mut counted = false;
                for (bound, le) in bounds(*wide)
                    .into_iter()
                    .map(|bound| (bound, format!("{bound:.1}")))
                    .chain([(f64::INFINITY, "+Inf".into())])
                {
                    let here = !counted && *value <= bound;
                    counted |= here;
                    let labels = format!("{}, \"le\": \"{le}\"", labelled(label));
                    entry("histogram", key("h", "h_bucket", labels), &|count| {
                        count.0 += f64::from(u8::from(here))
                    });
                }
            }
            Update::Set { mode, label, value } => {
                let name = format!("g_{mode}");
                let now =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
                let write = |cell: &mut (f64, f64)| *cell = (f64::from(*value), now);
                entry(&format!("gauge_{mode}"), key(&name, &name, labelled(label)), &write);
            }
        }
    }
    for (file, entries) in files {
        // A dead process's live gauges are gone.
        if file.starts_with("gauge_live") && !process.alive {
            continue;
        }
        let mut bytes = file_bytes(entries.iter().map(|(key, (value, time))| (key, *value, Some(*time))));
        bytes.resize(65536.max(bytes.len()), 0);
        std::fs::write(directory.join(format!("{file}_{}.db", pid(number))), bytes).unwrap();
    }
}

fn samples(text: &str) -> Samples {
    let sample = |line: &str| {
        let (key, value) = line.rsplit_once(' ').unwrap();
        (key.to_owned(), value.parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn any_update(wide: bool) -> impl Strategy<Value = Update> {
    let label = "[ab]";
    prop_oneof![
        (label, any::<u8>()).prop_map(|(label, n)| Update::Count { label, n }),
        (0..10_usize, label, any::<i8>()).prop_map(|(mode, label, value)| Update::Set {
            mode: GaugeMode::EVERY[mode],
            label,
            value
        }),
        (label, 0_u8..240).prop_map(move |(label, value)| Update::Observe {
            label,
            value: f64::from(value) / 2.0,
            wide
        }),
        (label, any::<i8>()).prop_map(|(label, value)| Update::Summarise { label, value }),
    ]
}

pub(crate) fn any_process() -> impl Strategy<Value = Process> {
    any::<(bool, bool, bool)>().prop_flat_map(|(own, alive, wide)| {
        prop::collection::vec(any_update(wide), 0..12).prop_map(move |updates| Process {
            client: if own { Client::Own } else { Client::Python },
            alive,
            updates,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_merge_is_what_the_oracle_says(processes in prop::collection::vec(any_process(), 0..6)) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let mut merger = Merger::default().keeping_files_open();
        for (number, process) in processes.iter().enumerate() {
            // What is known of some files, and of their beginnings, does not change what is found in all.
            let midway = || drop(merger.merge(&directory).unwrap());
            match process.client {
                Client::Own => write_own(temporary.path(), number, process, midway),
                Client::Python => write_python(temporary.path(), number, process, midway),
            }
        }
        let text = |merger: &mut Merger| {
            let merged = merger.merge(&directory).unwrap();
            assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
            String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap()
        };
        prop_assert_eq!(samples(&text(&mut merger)), oracle(&processes));
        prop_assert_eq!(text(&mut merger), text(&mut Merger::default()));
        prop_assert_eq!(sample_by_sample(&merger.merge(&directory).unwrap()), text(&mut merger));
        let mut cold = Merger::default();
        check_formats(&merger.merge(&directory).unwrap(), &cold.merge(&directory).unwrap(), 0);
        // Nor of files that are gone.
        for name in directory.list().unwrap() {
            std::fs::remove_file(temporary.path().join(name)).unwrap();
            prop_assert_eq!(text(&mut merger), text(&mut Merger::default()));
        }
    }
}

#[test]
fn a_mode_prevails_for_as_long_as_a_file_has_it() {
    let temporary = tempfile::tempdir().unwrap();
    let at = |name: &str| temporary.path().join(name);
    let set = Update::Set { mode: GaugeMode::Sum, label: "a".into(), value: 3 };
    let process = Process { client: Client::Python, alive: true, updates: vec![set] };
    write_python(temporary.path(), 0, &process, || {});
    std::fs::copy(at("gauge_sum_1000.db"), at("gauge_all_1001.db")).unwrap();
    let (mut merger, directory) =
        (Merger::default().keeping_files_open(), Directory::open(temporary.path()).unwrap());
    let mut keys = || {
        let text = merger.merge(&directory).unwrap().to_text(Buckets::Cumulative);
        samples(&String::from_utf8(text).unwrap()).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(keys(), [("g_sum{l=\"a\"}".to_owned(), 6.0)]);
    std::fs::remove_file(at("gauge_sum_1000.db")).unwrap();
    assert_eq!(keys(), [("g_sum{l=\"a\",pid=\"1001\"}".to_owned(), 3.0)]);
}

#[test]
fn what_two_files_described_is_forgotten_when_the_one_that_went_on_goes_first() {
    let temporary = tempfile::tempdir().unwrap();
    let (mut merger, directory) =
        (Merger::default().keeping_files_open(), Directory::open(temporary.path()).unwrap());
    let mut text = || merger.merge(&directory).unwrap().to_text(Buckets::Cumulative);
    let set = Update::Set { mode: GaugeMode::MostRecent, label: "a".into(), value: 0 };
    let count = Update::Count { label: "b".into(), n: 1 };
    let process = |updates: &[&Update]| Process {
        client: Client::Own,
        alive: false,
        updates: updates.iter().map(|&update| update.clone()).collect(),
    };
    write_own(temporary.path(), 0, &process(&[&set]), || {});
    write_own(temporary.path(), 1, &process(&[&set, &count]), || drop(text()));
    write_own(temporary.path(), 2, &process(&[&count]), || {});
    for gone in [1, 0] {
        text();
        std::fs::remove_file(temporary.path().join(format!("dead-{gone}.hc"))).unwrap();
    }
    let expected = Merger::default().merge(&directory).unwrap().to_text(Buckets::Cumulative);
    assert_eq!(String::from_utf8(text()).unwrap(), String::from_utf8(expected).unwrap());
}
