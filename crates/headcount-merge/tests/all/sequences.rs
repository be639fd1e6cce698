//! What is kept from one merge to the next, against a merge that knows nothing: whatever has changed in
//! between, both say the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headcount::{
    Buckets as Bounds, Counter, Gauge, GaugeMode, Histogram, NativeBuckets, NativeHistogram, Registry,
};
use headcount_merge::{Buckets, Escaping, Exposition, Folder, Foreign, Format, Merged, Merger, SeriesValue};
use headcount_store::directory::{Directory, FileName};
use headcount_store::text::{Sample, write_bound, write_family, write_labels, write_metric_name};
use proptest::prelude::*;

use crate::host::Host;
use crate::oracle::{Client, Process, any_process, write_own, write_python};
use crate::peer_file::file_bytes;

/// The exposition, written from what the interface gives, one sample after the other.
pub(crate) fn sample_by_sample(merged: &Merged<'_>) -> String {
    let mut out = Vec::new();
    for family in merged.families() {
        write_family(&mut out, family.name(), family.help(), family.kind());
        let mut name = Vec::new();
        write_metric_name(&mut name, family.name());
        for series in family.series() {
            let mut labels = Vec::new();
            write_labels(&mut labels, series.labels());
            let sample = |suffix| Sample { family: &name, suffix, labels: &labels, bound: None };
            match series.value() {
                SeriesValue::Number(value) => sample("").write(&mut out, value),
                SeriesValue::Summary { count, sum } => {
                    sample("_count").write(&mut out, count);
                    sample("_sum").write(&mut out, sum);
                }
                SeriesValue::Histogram(histogram) => {
                    sample("_sum").write(&mut out, histogram.sum());
                    for (bound, count) in histogram.buckets(Buckets::Cumulative) {
                        let mut spelled = Vec::new();
                        write_bound(&mut spelled, bound);
                        Sample { bound: Some(&spelled), ..sample("_bucket") }.write(&mut out, count);
                    }
                    sample("_count").write(&mut out, histogram.count());
                }
            }
        }
    }
    String::from_utf8(out).unwrap()
}

const STYLES: [(Format, Escaping); 8] = [
    (Format::Text, Escaping::Underscores),
    (Format::Json, Escaping::AllowUtf8),
    (Format::Protobuf, Escaping::AllowUtf8),
    (Format::OpenMetrics, Escaping::Underscores),
    (Format::TextV1, Escaping::AllowUtf8),
    (Format::OpenMetrics, Escaping::Values),
    (Format::Protobuf, Escaping::Dots),
    (Format::Text, Escaping::Values),
];

/// Whether a style is asked for: each one several times, and then not for a while; the last one so seldom that it is
/// forgotten in between.
fn is_asked_for(place: usize, round: usize) -> bool {
    if place + 1 == STYLES.len() { round.is_multiple_of(12) } else { round / (place + 1) % 3 != 2 }
}

/// Compares what is kept of expositions with what is written sample by sample, each format now and then: `round`
/// chooses.
pub(crate) fn check_formats(warm: &Merged<'_>, cold: &Merged<'_>, round: usize) {
    // What is asked for by name is not kept.
    let names: Vec<_> = cold.families().map(|family| family.name().to_owned()).collect();
    for (place, (format, escaping)) in STYLES.into_iter().enumerate() {
        if is_asked_for(place, round) && !names.is_empty() {
            let whole = Exposition { escaping, ..Exposition::new(format) };
            let expected = cold.encode(&Exposition { names: &names, ..whole });
            for merged in [warm, cold] {
                let found = merged.encode(&whole);
                assert!(found == expected, "{}", difference(&found, &expected));
            }
        }
    }
}

pub(crate) fn difference(found: &[u8], expected: &[u8]) -> String {
    let [found, expected] = [found, expected].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let lines = found.lines().zip(expected.lines());
    format!("{:?} of {}", lines.into_iter().find(|(a, b)| a != b), found.lines().next().unwrap_or_default())
}

/// Something that happens to a directory.
#[derive(Clone, Debug)]
enum Event {
    /// A process records.
    Record(Process),
    /// A peer's process records what does not go together with what others have.
    Disagree(usize),
    /// The files of one process are buried, of which there may be several.
    Bury(prop::sample::Index),
    /// A file vanishes.
    Remove(prop::sample::Index),
    Fold,
    /// An archive of a process is there, in the place of another one if there is any.
    Replace(Process),
}

const MIXED: &str = r#"["mixed", "mixed", {}, ""]"#;

/// Files that get into the way of others, or into their own.
const ODD: [(&str, &str); 11] = [
    ("gauge_all", MIXED),
    ("gauge_max", MIXED),
    ("gauge_livesum", MIXED),
    ("gauge_max", r#"["g_all", "g_all", {"l": "a"}, "help"]"#),
    ("gauge_livesum", r#"["g_min", "g_min", {"l": "a"}, "another help"]"#),
    ("gauge_all", r#"["odd", "odd", {"a.b": "1"}, ""]"#),
    ("gauge_sum", r#"["odd", "odd", {"a-b": "1"}, "a help"]"#),
    ("counter", r#"["h", "h_total", {}, ""]"#),
    ("gauge_all", r#"["h", "h", {}, ""]"#),
    ("histogram", r#"["s", "s_bucket", {"le": "3"}, ""]"#),
    ("counter", r#"["c", "c_total", {"x.y": "1", "x-y": "2"}, "zzz"]"#),
];

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any_process().prop_map(Event::Record),
        4 => (0..ODD.len()).prop_map(Event::Disagree),
        2 => any::<prop::sample::Index>().prop_map(Event::Bury),
        1 => any::<prop::sample::Index>().prop_map(Event::Remove),
        1 => Just(Event::Fold),
        1 => any_process().prop_map(Event::Replace),
    ]
}

fn happen(event: &Event, number: usize, path: &Path) {
    let names = || -> Vec<_> {
        let listed = Directory::open(path).unwrap().list().unwrap();
        listed.into_iter().map(|name| name.into_string().unwrap()).collect()
    };
    match event {
        Event::Record(process) => {
            let process = Process { alive: true, ..process.clone() };
            match process.client {
                Client::Own => write_own(path, number, &process, || {}),
                Client::Python => write_python(path, number, &process, || {}),
            }
        }
        Event::Disagree(which) => {
            let (file, key) = ODD[*which];
            fs::write(path.join(format!("{file}_{}.db", 2000 + number)), file_bytes([(key, 2.5, Some(1.0))]))
                .unwrap();
        }
        Event::Bury(index) => {
            let names = names();
            let Some(name) = names.get(index.index(names.len().max(1))) else { return };
            let grave = match FileName::parse(name).unwrap() {
                Some(FileName::Process { .. }) => format!("dead-{number}.hc"),
                Some(FileName::Peer(peer)) if peer.buried.is_none() => {
                    name.replace(".db", &format!(".dead-{number}.db"))
                }
                _ => return,
            };
            // A copy: this process, which has written it, is alive, and what is written still is not folded.
            fs::copy(path.join(name), path.join(".copy")).unwrap();
            fs::remove_file(path.join(name)).unwrap();
            fs::rename(path.join(".copy"), path.join(grave)).unwrap();
        }
        Event::Remove(index) => {
            let names = names();
            let name = names.get(index.index(names.len().max(1)));
            name.into_iter().for_each(|name| fs::remove_file(path.join(name)).unwrap());
        }
        Event::Fold => {
            let directory = Directory::open(path).unwrap();
            Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
        }
        Event::Replace(process) => {
            let (host, written) = (Host::new(), tempfile::tempdir().unwrap());
            write_own(written.path(), number, &Process { alive: true, ..process.clone() }, || {});
            host.take(written.path());
            host.fold();
            let archive = names().into_iter().find(|name| name.starts_with("archive-"));
            let archive = archive.unwrap_or_else(|| format!("archive-{number}.hc"));
            fs::copy(host.path().join(&host.names()[0]), path.join(".copy")).unwrap();
            fs::rename(path.join(".copy"), path.join(archive)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_merge_that_has_seen_it_all_equals_one_that_begins_now(
        events in prop::collection::vec(any_event(), 1..14),
    ) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let mut warm = Merger::default().keeping_files_open();
        for (number, event) in events.iter().enumerate() {
            happen(event, number, temporary.path());
            let mut cold = Merger::default();
            let cold = cold.merge(&directory).unwrap();
            let merged = warm.merge(&directory).unwrap();
            let text = |merged: &Merged<'_>| String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap();
            prop_assert_eq!(text(&merged), text(&cold), "after {:?}", event);
            prop_assert_eq!(sample_by_sample(&merged), text(&merged));
            prop_assert_eq!(&merged.report().conflicts, &cold.report().conflicts);
            check_formats(&merged, &cold, number);
        }
    }
}

/// What a process has, by the number of the label.
struct Handles {
    /// Keeps the file.
    _registry: Registry,
    histograms: Vec<Histogram>,
    counters: Vec<Counter>,
    gauges: Vec<Gauge>,
}

/// More than one page of each kind of metric, in three processes.
fn write_many(path: &Path) -> Vec<Handles> {
    let write = |_| {
        let registry = Registry::in_directory(path).unwrap();
        let histograms = registry.histogram_family("h", "", Bounds::new([0.5, 2.0]).unwrap(), ["l"]).unwrap();
        let counters = registry.counter_family("c", "", ["l"]).unwrap();
        let gauges = registry.gauge_family("g", "", GaugeMode::LiveSum, ["l"]).unwrap();
        let labels: Vec<_> = (0..400).map(|n| format!("a longer label, so that pages fill, {n}")).collect();
        let histograms = labels.iter().map(|label| histograms.with([label])).collect();
        let counters = labels.iter().map(|label| counters.with([label])).collect();
        let gauges = labels.iter().map(|label| gauges.with([label])).collect();
        Handles { _registry: registry, histograms, counters, gauges }
    };
    (0..3).map(write).collect()
}

/// More than one page each of native histograms and of counters.
fn write_natives(path: &Path) -> (Vec<NativeHistogram>, Vec<Counter>) {
    // Here one process is hundreds of workers, one after the other, and none of their files goes away.
    headcount::limit_bytes(u64::MAX);
    let registry = Registry::in_directory(path).unwrap();
    let natives = registry.native_histogram_family("n", "", NativeBuckets::default(), ["l"]).unwrap();
    let counters = registry.counter_family("c", "", ["l"]).unwrap();
    let labels = (0..400).map(|n| format!("a longer label, so that pages fill, {n}"));
    labels.map(|label| (natives.with([&label]), counters.with([&label]))).unzip()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn of_many_pages_those_that_have_changed_are_written_again(
        updates in prop::collection::vec((0..3_usize, 0..4_u8, 0..400_usize, 1..300_u64, any::<bool>()), 1..40),
    ) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let processes = write_many(temporary.path());
        let mut warm = Merger::default().keeping_files_open();
        drop(warm.merge(&directory).unwrap().encode(&Exposition::new(Format::Protobuf)));
        for (round, (process, kind, series, n, is_merged)) in updates.into_iter().enumerate() {
            let Handles { histograms, counters, gauges, .. } = &processes[process];
            match kind {
                0 => (0..n).for_each(|n| histograms[series].observe(n as f64 / 100.0)),
                1 => counters[series].add(n * n * n),
                // A gauge that nobody has set is not there.
                2 => gauges[series].set(-(n as f64)),
                _ => counters.iter().for_each(|counter| counter.add(n)),
            }
            if is_merged {
                let mut cold = Merger::default();
                check_formats(&warm.merge(&directory).unwrap(), &cold.merge(&directory).unwrap(), round / 4);
            }
        }
    }

    /// A page that stays is the same page, so that what was made of it stays, too.
    #[test]
    fn what_has_not_changed_is_the_same_page(series in 0..400_usize) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let processes = write_many(temporary.path());
        let mut merger = Merger::default().keeping_files_open();
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf, Format::Json] {
            let mut pages = || merger.merge(&directory).unwrap().pages(&Exposition::new(format));
            let before = pages();
            processes[0].counters[series].add(1);
            let after = pages();
            let changed = before.iter().zip(after.iter()).filter(|(a, b)| !std::sync::Arc::ptr_eq(a, b)).count();
            prop_assert_eq!((changed, before.len()), (1, after.len()), "{}", format);
            prop_assert!(before.iter().count() > 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Where more changes than numbers: exemplars, and the buckets of native histograms.
    #[test]
    fn of_many_pages_those_that_show_something_else_are_written_again(
        updates in prop::collection::vec((0..2_usize, 0..4_u8, 0..400_usize, 0.0..20.0, any::<bool>()), 1..12),
    ) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let processes = [(); 2].map(|()| write_natives(temporary.path()));
        let mut warm = Merger::default().keeping_files_open();
        drop(warm.merge(&directory).unwrap().encode(&Exposition::new(Format::Protobuf)));
        for (round, (process, kind, series, value, is_merged)) in updates.into_iter().enumerate() {
            let (natives, counters) = &processes[process];
            let (native, counter) = (&natives[series], &counters[series]);
            match kind {
                0 => native.observe(value),
                1 => native.observe_with_exemplar(value, [("n", round.to_string())]),
                2 => counter.add_with_exemplar(1, [("n", round.to_string())]),
                _ => natives.iter().for_each(|native| native.observe(value)),
            }
            if is_merged {
                let mut cold = Merger::default();
                check_formats(&warm.merge(&directory).unwrap(), &cold.merge(&directory).unwrap(), round / 4);
            }
        }
    }

    #[test]
    fn what_is_shown_beside_of_one_series_changes_its_page(series in 0..400_usize) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let (natives, counters) = write_natives(temporary.path());
        let exemplar = [("n", "1")];
        natives[series].observe_with_exemplar(1.0, exemplar);
        counters[series].add_with_exemplar(1, exemplar);
        let mut merger = Merger::default().keeping_files_open();
        let mut pages = || merger.merge(&directory).unwrap().pages(&Exposition::new(Format::Protobuf));
        let update: [&dyn Fn(); 2] =
            [&|| natives[series].observe(1.0), &|| counters[series].add_with_exemplar(0, exemplar)];
        for update in update {
            let before = pages();
            update();
            let after = pages();
            let changed = before.iter().zip(after.iter()).filter(|(a, b)| !std::sync::Arc::ptr_eq(a, b)).count();
            // Before the first series of a family stands how long all are, which the time of an exemplar may change.
            prop_assert!((1..=2).contains(&changed), "{changed}");
            prop_assert!(before.iter().count() > 1);
        }
    }
}
