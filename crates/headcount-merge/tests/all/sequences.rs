//! What is kept from one merge to the next, against a merge that knows nothing: whatever has changed in
//! between, both say the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headcount_merge::{Buckets, Folder, Foreign, Merged, Merger, SeriesValue};
use headcount_store::directory::{Directory, FileName};
use headcount_store::text::{Sample, write_bound, write_family, write_labels, write_metric_name};
use proptest::prelude::*;

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
        let mut warm = Merger::default();
        for (number, event) in events.iter().enumerate() {
            happen(event, number, temporary.path());
            let mut cold = Merger::default();
            let cold = cold.merge(&directory).unwrap();
            let merged = warm.merge(&directory).unwrap();
            let text = |merged: &Merged<'_>| String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap();
            prop_assert_eq!(text(&merged), text(&cold), "after {:?}", event);
            prop_assert_eq!(sample_by_sample(&merged), text(&merged));
            prop_assert_eq!(&merged.report().conflicts, &cold.report().conflicts);
        }
    }
}
