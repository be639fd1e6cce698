//! Native histograms of several processes, living, dead and folded, as one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headcount::{Buckets as Bounds, NativeBuckets, NativeHistogram, Registry};
use headcount_merge::{
    Buckets, Exposition, Folder, Foreign, Format, Merged, Merger, NativeHistogram as Native, Otlp,
    SeriesValue,
};
use headcount_store::directory::Directory;
use headcount_store::exponential::{Key, Place, Scale};
use proptest::prelude::*;

/// The native view of the only series, if there is one.
fn native(merged: &Merged<'_>) -> Option<Native> {
    let family = merged.families().next().unwrap();
    let SeriesValue::Histogram(histogram) = family.series().next().unwrap().value() else { panic!() };
    histogram.native()
}

/// Everything that is exposed, in every format.
fn exposed(merged: &Merged<'_>) -> Vec<Vec<u8>> {
    let formats = [Format::Text, Format::OpenMetrics, Format::Protobuf, Format::Json];
    let mut all: Vec<_> = formats.map(|format| merged.encode(&Exposition::new(format))).into();
    all.push(merged.to_text(Buckets::PerBucket));
    all.push(merged.to_otlp(&Otlp { resource: &[], start: 0, time: 1 }));
    all
}

fn histogram(directory: &Path, buckets: NativeBuckets) -> NativeHistogram {
    Registry::in_directory(directory).unwrap().native_histogram("h", "Help.", buckets).unwrap()
}

/// What would be shown of these values, by the definition of buckets and without any table.
fn oracle(values: &[f64], shown: &Native) -> Native {
    let scale = Scale { schema: shown.schema, zero_threshold: shown.zero_threshold };
    let (mut positive, mut negative) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
    let (mut zero, mut nowhere) = (0, 0);
    for &value in values {
        match scale.place(value) {
            Place::Bucket(key) if key.is_negative => *negative.entry(key.index).or_insert(0) += 1,
            Place::Bucket(key) => *positive.entry(key.index).or_insert(0) += 1,
            Place::Zero => zero += 1,
            Place::Nowhere => nowhere += 1,
        }
    }
    let [positive, negative] = [positive, negative].map(|side| side.into_iter().collect());
    Native { zero, nowhere, positive, negative, ..shown.clone() }
}

/// A process: its schema, its limit, what it observes, and whether it dies.
type Process = (i8, u16, Vec<f64>, bool);

fn processes() -> impl Strategy<Value = Vec<Process>> {
    let value = prop_oneof![6 => 1e-3..1e3, 2 => -10.0..10.0, 1 => any::<f64>(), 1 => Just(0.0)];
    let process = (-4_i8..=8, 1_u16..60, prop::collection::vec(value, 0..80), any::<bool>());
    prop::collection::vec(process, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_processes_observe_is_shown_as_if_one_had_observed_it_and_folding_changes_nothing(
        all in processes()
    ) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let mut merger = Merger::default().keeping_files_open();
        for (at, (schema, limit, values, dies)) in all.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let place = if *dies { folder.path() } else { temporary.path() };
            let buckets = NativeBuckets::with_schema(*schema).unwrap().limit(*limit).unwrap();
            let histogram = histogram(place, buckets.and_classic(Bounds::new([1.0, 10.0]).unwrap()));
            values.iter().for_each(|&value| histogram.observe(value));
            if *dies {
                let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
                fs::copy(file, temporary.path().join(format!("dead-{at}.hc"))).unwrap();
            }
            // What it remembers of this does not show later.
            drop(exposed(&merger.merge(&directory).unwrap()));
        }
        let merged = merger.merge(&directory).unwrap();
        let before = exposed(&merged);
        let shown = native(&merged).unwrap();
        let values: Vec<f64> = all.iter().flat_map(|(_, _, values, _)| values).copied().collect();
        prop_assert_eq!(&shown, &oracle(&values, &shown));
        prop_assert_eq!(shown.count() + shown.nowhere, values.len() as u64);
        let limit = all.iter().map(|(_, limit, ..)| usize::from(*limit)).max().unwrap();
        prop_assert!(shown.positive.len() + shown.negative.len() <= limit);
        prop_assert_eq!(exposed(&Merger::default().merge(&directory).unwrap()), before.clone());
        Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
        prop_assert_eq!(exposed(&merger.merge(&directory).unwrap()), before.clone());
        // An archive is folded into the next one.
        fs::copy(own_file(), temporary.path().join("dead-90.hc")).unwrap();
        Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
        let again = Merger::default().merge(&directory).unwrap_or_else(|_| unreachable!()).report().skipped.len();
        prop_assert_eq!(again, 0);
        prop_assert_eq!(native(&merger.merge(&directory).unwrap()), Some(shown));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each in a thread of its own, in tables that are soon full, and in files that are read again and again.
    #[test]
    fn what_is_observed_between_two_merges_is_found_whatever_was_known_before(
        rounds in prop::collection::vec(
            (0..2_usize, 0..3_usize, prop::collection::vec(prop_oneof![1e-3..1e3, -10.0..10.0], 1..12)),
            1..16,
        ),
        has_bounds in any::<bool>(),
    ) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let series = |_| {
            let buckets = NativeBuckets::with_schema(2).unwrap().limit(5).unwrap();
            let bounds = Bounds::new([1.0, 10.0]).unwrap();
            let buckets = if has_bounds { buckets.and_classic(bounds) } else { buckets };
            let registry = Registry::in_directory(temporary.path()).unwrap();
            registry.native_histogram_family("h", "Help.", buckets, ["l"]).unwrap()
        };
        let processes = [0, 1].map(series);
        let mut merger = Merger::default().keeping_files_open();
        let mut observed = [const { Vec::new() }; 3];
        for (process, label, values) in rounds {
            let native = processes[process].with([&label.to_string()]);
            std::thread::scope(|scope| {
                scope.spawn(|| values.iter().for_each(|&value| native.observe(value)));
            });
            observed[label].extend(values);
            let merged = merger.merge(&directory).unwrap();
            prop_assert_eq!(exposed(&merged), exposed(&Merger::default().merge(&directory).unwrap()));
            let family = merged.families().next().unwrap();
            for series in family.series() {
                let (_, label) = series.labels().next().unwrap();
                let values = &observed[label.parse::<usize>().unwrap()];
                let SeriesValue::Histogram(histogram) = series.value() else { panic!() };
                let shown = histogram.native().unwrap();
                prop_assert_eq!(&shown, &oracle(values, &shown));
            }
        }
    }
}

/// A file of a process that has counted something else.
fn own_file() -> std::path::PathBuf {
    static FOLDER: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        Registry::in_directory(folder.path()).unwrap().counter("z", "").unwrap().inc();
        folder
    });
    fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn one_without_observations_is_native_from_the_start() {
    let temporary = tempfile::tempdir().unwrap();
    histogram(temporary.path(), NativeBuckets::default());
    let directory = Directory::open(temporary.path()).unwrap();
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&directory).unwrap();
    let native = native(&merged).unwrap();
    assert_eq!((native.schema.number(), native.zero_threshold, native.count()), (3, 2.0_f64.powi(-128), 0));
    let protobuf = merged.encode(&Exposition::new(Format::Protobuf));
    // Behind it stands since when the histogram is.
    let span = [12 << 3 | 2, 0, 15 << 3 | 2];
    assert!(protobuf.windows(3).any(|bytes| bytes == span), "a span of nothing: {protobuf:?}");
    let text = String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap();
    assert!(text.contains("h_bucket{le=\"+Inf\"} 0\nh_count 0\n"), "{text}");
}

#[test]
fn observations_of_processes_to_which_it_is_not_native_are_not_left_out() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    let bounds = || Bounds::new([1.0]).unwrap();
    let tables = histogram(temporary.path(), NativeBuckets::default().and_classic(bounds()));
    tables.observe(0.5);
    let registry = Registry::in_directory(temporary.path()).unwrap();
    let classic = registry.histogram("h", "Help.", bounds()).unwrap();
    let mut merger = Merger::default().keeping_files_open();
    assert!(native(&merger.merge(&directory).unwrap()).is_some(), "nothing was observed elsewhere");
    classic.observe(2.0);
    let merged = merger.merge(&directory).unwrap();
    assert_eq!(native(&merged), None);
    let text = String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap();
    assert!(text.contains("h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n"), "{text}");
    // One without bounds counts where there is one for everything.
    histogram(temporary.path(), NativeBuckets::default()).observe(0.25);
    let text = String::from_utf8(merger.merge(&directory).unwrap().to_text(Buckets::Cumulative)).unwrap();
    assert!(text.contains("h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_count 3\n"), "{text}");
}

#[test]
fn a_bucket_that_no_value_is_in_counts_as_the_last_that_some_value_is_in() {
    let (written, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let buckets = NativeBuckets::with_schema(0).unwrap().zero_threshold(0.0).unwrap();
    let histogram = histogram(written.path(), buckets);
    [2.0, 2.0, -3.0].into_iter().for_each(|value| histogram.observe(value));
    let file = fs::read_dir(written.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(file).unwrap();
    let mut damage = |is_negative, index, wrong| {
        let key = |index| Key { is_negative, index }.encode().to_le_bytes();
        let found = bytes.windows(8).position(|window| window == key(index)).unwrap();
        bytes[found..found + 8].copy_from_slice(&key(wrong));
    };
    damage(false, 1, i32::MAX);
    damage(true, 2, i32::MIN);
    fs::write(folder.path().join("dead-0.hc"), bytes).unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    let check = || {
        let shown = native(&Merger::default().merge(&directory).unwrap()).unwrap();
        assert_eq!((shown.positive, shown.negative), (vec![(1025, 2)], vec![(-1074, 1)]));
        exposed(&Merger::default().merge(&directory).unwrap())
    };
    let before = check();
    Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
    assert_eq!(check(), before);
}

#[test]
fn the_json_shows_buckets_with_their_bounds() {
    let temporary = tempfile::tempdir().unwrap();
    let buckets = NativeBuckets::with_schema(0).unwrap().zero_threshold(0.25).unwrap();
    let histogram = histogram(temporary.path(), buckets);
    [-3.0, 0.0, 1.5, 1.75].into_iter().for_each(|value| histogram.observe(value));
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&Directory::open(temporary.path()).unwrap()).unwrap();
    let json = String::from_utf8(merged.encode(&Exposition::new(Format::Json))).unwrap();
    let expected = r#"{"sum":"0.25","buckets":{"+Inf":"4"},"count":"4","schema":0,"native_buckets":[[1,"-4","-2","1"],[3,"-0.25","0.25","1"],[0,"1","2","2"]],"created":"#;
    assert!(json.contains(expected), "{json}");
}
