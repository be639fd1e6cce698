//! Exemplars of many processes, in every format.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headcount::{Buckets, Exemplar, NativeBuckets, Registry};
use headcount_merge::{Buckets as Cumulated, Exposition, Folder, Foreign, Format, Merger, Otlp, SeriesValue};
use headcount_store::directory::Directory;
use headcount_store::format::exemplar::{self, ExemplarLabels};
use headcount_store::format::family::{Family, Shape};
use headcount_store::process::{Origin, now_nanos};
use headcount_store::write::{OnFork, Registration};

/// What a process has counted once in each of these cells of a histogram `h` or a counter `c`: the cell, the value, its
/// age in seconds, and the value of the label `id`.
type Observed<'a> = (u32, f64, f64, &'a str);

/// Writes a file as a process would that has a histogram with these bounds, or without any a counter.
fn write(directory: &Path, bounds: &[f64], observed: &[Observed<'_>]) {
    let (name, shape) = match bounds {
        [] => ("c", Shape::Counter),
        bounds => ("h", Shape::Histogram { bounds: bounds.to_vec() }),
    };
    let mut registration = Registration::begin();
    let store = registration.create_store(directory, Origin::default(), OnFork::Leave).unwrap();
    let family = Family { name, help: "", unit: "", shape, labels: vec![] };
    let number = registration.add_family(store, &family).unwrap();
    let cells = u32::try_from(family.shape.cells()).unwrap();
    let (cells, _) = registration.add_summed(store, number, &[], cells).unwrap();
    drop(registration);
    let now = now_nanos() as f64 / 1e9;
    for &(cell, value, age, id) in observed {
        cells.add(cell, 1);
        let labels = ExemplarLabels::new(&[("id", id)]).unwrap();
        cells.set_exemplar(cell, value, now - age, &labels);
    }
}

fn exposed(directory: &Path, format: Format) -> String {
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&Directory::open(directory).unwrap()).unwrap();
    assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
    String::from_utf8(merged.encode(&Exposition::new(format))).unwrap()
}

/// The lines with exemplars, each up to its time.
fn exemplars(directory: &Path) -> Vec<String> {
    let text = exposed(directory, Format::OpenMetrics);
    assert!(!exposed(directory, Format::Text).contains(" # "), "the text format has none");
    let lines = text.lines().filter(|line| line.contains(" # {"));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn of_several_processes_the_newest_exemplar_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[], &[(0, 1.0, 20.0, "old")]);
    write(directory.path(), &[], &[(0, 3.0, 10.0, "newest \"é\"\n")]);
    write(directory.path(), &[], &[(0, 1.0, 4000.0, "forgotten")]);
    write(directory.path(), &[], &[]);
    let line = "c_total 3 # {id=\"newest \\\"é\\\"\\n\"} 3";
    assert_eq!(exemplars(directory.path()), [line]);
}

#[test]
fn the_dead_keep_theirs_also_when_they_are_folded() {
    let (written, graves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(written.path(), &[1.0, 2.0], &[(1, 0.5, 20.0, "a"), (3, 9.0, 20.0, "b")]);
    write(written.path(), &[1.0, 2.0], &[(1, 0.25, 10.0, "c"), (2, 1.5, 4000.0, "forgotten")]);
    write(written.path(), &[], &[(0, 1.0, 30.0, "d")]);
    for (number, file) in fs::read_dir(written.path()).unwrap().enumerate() {
        fs::copy(file.unwrap().path(), graves.path().join(format!("dead-{number}.hc"))).unwrap();
    }
    let expected = [
        "c_total 1 # {id=\"d\"} 1",
        "h_bucket{le=\"1.0\"} 2 # {id=\"c\"} 0.25",
        "h_bucket{le=\"+Inf\"} 4 # {id=\"b\"} 9",
    ];
    assert_eq!(exemplars(graves.path()), expected);
    let before = exposed(graves.path(), Format::OpenMetrics);
    let directory = Directory::open(graves.path()).unwrap();
    let mut folder = Folder::new(Foreign::Fold);
    while folder.step(&directory, 1, Duration::ZERO).unwrap().is_more {}
    assert_eq!(directory.list().unwrap().len(), 1);
    assert_eq!(exposed(graves.path(), Format::OpenMetrics), before);
    // One that lives has a newer one.
    write(graves.path(), &[1.0, 5.0], &[(2, 1.5, 5.0, "e"), (2, 4.0, 4.0, "f")]);
    let expected = ["c_total 1 # {id=\"d\"} 1", "h_bucket{le=\"1.0\"} 2 # {id=\"c\"} 0.25"];
    assert_eq!(exemplars(graves.path())[..2], expected);
    assert_eq!(
        exemplars(graves.path())[2..],
        ["h_bucket{le=\"5.0\"} 5 # {id=\"f\"} 4", "h_bucket{le=\"+Inf\"} 6 # {id=\"b\"} 9"]
    );
}

#[test]
fn an_exemplar_stands_in_the_bucket_of_the_merge_that_its_value_falls_into() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[5.0], &[(1, 1.5, 10.0, "wide")]);
    write(directory.path(), &[1.0, 2.0, 5.0], &[(1, 0.5, 10.0, "low"), (2, 1.7, 20.0, "older")]);
    let expected =
        ["h_bucket{le=\"1.0\"} 1 # {id=\"low\"} 0.5", "h_bucket{le=\"2.0\"} 2 # {id=\"wide\"} 1.5"];
    assert_eq!(exemplars(directory.path()), expected);
}

/// Lets a process of its own observe in a native histogram `n`, each value with itself as the label `id`.
fn observe(directory: &Path, buckets: NativeBuckets, values: &[f64]) {
    let native = Registry::in_directory(directory).unwrap().native_histogram("n", "", buckets).unwrap();
    for value in values {
        native.observe_with_exemplar(*value, [("id", value.to_string())]);
    }
}

/// The identities of the exemplars of the only histogram: those of the native one, those of buckets by their bounds, and
/// how many the protobuf has of each.
type Native = (Vec<String>, Vec<(String, String)>, [usize; 2]);

fn native(directory: &Path) -> Native {
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(directory).unwrap()).unwrap();
    let family = merged.families().next().unwrap();
    let SeriesValue::Histogram(histogram) = family.series().next().unwrap().value() else { panic!() };
    let id = |exemplar: headcount_merge::Exemplar<'_>| exemplar.labels().next().unwrap().1.to_owned();
    let times: Vec<_> = histogram.native_exemplars().into_iter().map(|exemplar| exemplar.time()).collect();
    assert!(times.is_sorted(), "Prometheus refuses what is older than what it has seen");
    let in_buckets = histogram.buckets(Cumulated::Cumulative).zip(histogram.exemplars());
    let in_buckets = in_buckets.filter_map(|((bound, _), exemplar)| Some((bound.to_string(), id(exemplar?))));
    let protobuf = merged.encode(&Exposition::new(Format::Protobuf));
    let label = |value: &str| {
        let value_field = [&[0x12, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
        protobuf.windows(value_field.len()).filter(|window| *window == value_field).count()
    };
    let natives: Vec<_> = histogram.native_exemplars().into_iter().map(id).collect();
    let in_buckets: Vec<_> = in_buckets.collect();
    let has_bounds = histogram.has_bounds();
    let all = natives.iter().map(|id| label(id)).sum();
    let counts = [all, natives.len() + if has_bounds { in_buckets.len() } else { 0 }];
    (natives, in_buckets, counts)
}

#[test]
fn a_native_histogram_shows_exemplars_of_values_that_are_far_apart_and_folding_changes_nothing() {
    let (written, graves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let coarse = || NativeBuckets::with_schema(-4).unwrap();
    observe(written.path(), coarse(), &[0.25, 0.001, 30.0]);
    observe(written.path(), NativeBuckets::default(), &[0.3, 1.5, -1.5]);
    for (number, file) in fs::read_dir(written.path()).unwrap().enumerate() {
        fs::copy(file.unwrap().path(), graves.path().join(format!("dead-{number}.hc"))).unwrap();
    }
    let (natives, in_buckets, [found, expected]) = native(graves.path());
    assert_eq!(natives, ["0.001", "30", "0.3", "1.5", "-1.5"], "0.3 is newer than 0.25");
    assert_eq!(in_buckets, [("inf".to_owned(), "-1.5".to_owned())]);
    assert_eq!(found, expected);
    let formats = [Format::OpenMetrics, Format::Protobuf, Format::Json];
    let all = |directory: &Path| {
        let mut merger = Merger::default();
        let merged = merger.merge(&Directory::open(directory).unwrap()).unwrap();
        let otlp = merged.to_otlp(&Otlp { resource: &[], start: 0, time: 1 });
        formats
            .map(|format| merged.encode(&Exposition::new(format)))
            .into_iter()
            .chain([otlp])
            .collect::<Vec<_>>()
    };
    let before = all(graves.path());
    let json = String::from_utf8(before[2].clone()).unwrap();
    assert!(
        json.contains(r#","native_exemplars":[{"labels":{"id":"0.001"},"value":"0.001","timestamp":""#),
        "{json}"
    );
    let directory = Directory::open(graves.path()).unwrap();
    let mut folder = Folder::new(Foreign::Fold);
    while folder.step(&directory, 1, Duration::ZERO).unwrap().is_more {}
    assert_eq!(directory.list().unwrap().len(), 1);
    assert_eq!(all(graves.path()), before);
    // One that lives has a newer one, whatever its bounds, which then show those of all.
    observe(graves.path(), coarse().and_classic(Buckets::new([0.1, 1.0, 2.0]).unwrap()), &[0.5, 1.7]);
    let (natives, in_buckets, [found, expected]) = native(graves.path());
    assert_eq!(natives, ["0.001", "30", "0.3", "1.5", "-1.5", "0.5", "1.7"]);
    let shown = [("0.1", "-1.5"), ("1", "0.5"), ("2", "1.7"), ("inf", "30")];
    assert_eq!(in_buckets, shown.map(|(bound, id)| (bound.to_owned(), id.to_owned())));
    assert_eq!(found, expected);
}

#[test]
fn every_format_has_what_it_has_room_for() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let trace = Exemplar::of_trace(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7);
    registry.counter("c", "").unwrap().inc_with_exemplar(trace);
    let histogram = registry.histogram("h", "", Buckets::new([1.0]).unwrap()).unwrap();
    histogram.observe_with_exemplar(0.5, trace);
    let json = exposed(directory.path(), Format::Json);
    let labels =
        r#"{"labels":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"},"value":"#;
    assert!(json.contains(&format!(r#"{{"value":"1","exemplar":{labels}"1","timestamp":"1"#)), "{json}");
    assert!(json.contains(&format!(r#""exemplars":{{"1.0":{labels}"0.5","timestamp":"1"#)), "{json}");
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&Directory::open(directory.path()).unwrap()).unwrap();
    let otlp = merged.to_otlp(&Otlp { resource: &[], start: 0, time: 1 });
    let id = b"\x2a\x10\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";
    let found = otlp.windows(id.len()).filter(|window| window == id).count();
    assert_eq!(found, 2, "the trace is a field of bytes");
    assert!(!String::from_utf8_lossy(&otlp).contains("span_id"));
}

#[test]
fn what_a_file_says_that_is_no_exemplar_is_not_shown() {
    let (written, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(written.path(), &[], &[(0, 1.0, 10.0, "good")]);
    let file = fs::read_dir(written.path()).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&file).unwrap();
    let slot = bytes.windows(4).position(|window| window == *b"good").unwrap() / 256 * 256;
    let good = exemplar::Exemplar::decode(&bytes[slot..slot + 256]).unwrap();
    let shown = |slot_bytes: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[slot..slot + slot_bytes.len()].copy_from_slice(slot_bytes);
        fs::write(directory.path().join("dead-0.hc"), bytes).unwrap();
        exemplars(directory.path()).len()
    };
    assert_eq!(shown(&good.encode()), 1);
    let changed = |change: fn(&mut exemplar::Exemplar)| {
        let mut changed = good;
        change(&mut changed);
        changed.encode()
    };
    assert_eq!(shown(&changed(|exemplar| exemplar.cell += 1)), 0, "of a cell that nothing describes");
    assert_eq!(shown(&changed(|exemplar| exemplar.cell = u32::MAX)), 0);
    assert_eq!(shown(&changed(|exemplar| exemplar.value = f64::NAN)), 0);
    assert_eq!(shown(&changed(|exemplar| exemplar.time = f64::NAN)), 0);
    assert_eq!(shown(&[0xff; 256]), 0);
    let mut half_written = good.encode();
    half_written[41] = b'X';
    assert_eq!(shown(&half_written), 0);
}

#[test]
fn what_is_kept_of_an_exposition_has_the_exemplars_of_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    let mut merger = Merger::default().keeping_files_open();
    let mut check = || {
        let merged = merger.merge(&directory).unwrap();
        let mut anew = Merger::default();
        let fresh = anew.merge(&directory).unwrap();
        for format in [Format::OpenMetrics, Format::Protobuf, Format::Text, Format::Json] {
            let exposition = Exposition::new(format);
            assert_eq!(merged.encode(&exposition), fresh.encode(&exposition), "{format:?}");
        }
        let text = String::from_utf8(merged.encode(&Exposition::new(Format::OpenMetrics))).unwrap();
        text.matches(" # {").count()
    };
    write(folder.path(), &[1.0, 2.0], &[]);
    write(folder.path(), &[], &[]);
    assert_eq!(check(), 0);
    write(folder.path(), &[1.0, 2.0], &[(1, 0.5, 20.0, "a")]);
    assert_eq!(check(), 1);
    assert_eq!(check(), 1);
    write(folder.path(), &[], &[(0, 1.0, 20.0, "b")]);
    write(folder.path(), &[1.0, 2.0], &[(1, 0.5, 10.0, "c"), (2, 1.5, 10.0, "d")]);
    assert_eq!(check(), 3);
    for file in fs::read_dir(folder.path()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    write(folder.path(), &[1.0, 2.0], &[]);
    assert_eq!(check(), 0);
}
