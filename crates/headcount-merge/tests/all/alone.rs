//! What a process records is the same wherever its file is.

use headcount::{Buckets, GaugeMode, NativeBuckets, Registry};
use headcount_merge::{Exposition, Format, Merged, Merger};
use headcount_store::directory::Directory;

use crate::every_format;

const FORMATS: [Format; 5] =
    [Format::Text, Format::TextV1, Format::OpenMetrics, Format::Protobuf, Format::Json];

fn encoded(merged: &Merged<'_>) -> Vec<Vec<u8>> {
    every_format::check(merged);
    FORMATS.map(|format| merged.encode(&Exposition::new(format))).into()
}

#[test]
fn a_process_is_merged_alone_as_in_a_directory_and_again_when_it_has_recorded_more() {
    let written = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(written.path()).unwrap();
    let directory = Directory::open(written.path()).unwrap();
    let [mut of_directory, mut of_process] = [(); 2].map(|()| Merger::default());
    let family = registry.counter_family("c", "Help.", ["l"]).unwrap();
    let histogram = registry.histogram("h_seconds", "", Buckets::default()).unwrap();
    let native = registry.native_histogram("n", "", NativeBuckets::default()).unwrap();
    for round in 0..3 {
        family.with([&format!("{round}")]).inc_with_exemplar([("id", "x")]);
        histogram.observe(0.3);
        native.observe(f64::from(round));
        // A gauge of a process that was dead would not be there.
        for (name, mode) in
            [("all", GaugeMode::LiveAll), ("sum", GaugeMode::LiveSum), ("recent", GaugeMode::LiveMostRecent)]
        {
            registry.gauge(name, "", mode).unwrap().set(f64::from(round));
        }
        let file = registry.open().unwrap();
        let [expected, alone] = [
            encoded(&of_directory.merge(&directory).unwrap()),
            encoded(&of_process.merge_process(&file).unwrap()),
        ];
        assert_eq!(alone, expected);
        let text = String::from_utf8_lossy(&alone[0]);
        assert!(text.contains(&format!("\nsum {round}\n")), "{text}");
    }
}

#[test]
fn what_is_in_memory_alone_can_be_merged() {
    let registry = Registry::private().unwrap();
    registry.counter("c", "").unwrap().add(3);
    let mut merger = Merger::default();
    for file in [registry.open().unwrap(), registry.open().unwrap()] {
        let text = merger.merge_process(&file).unwrap().encode(&Exposition::new(Format::OpenMetrics));
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("c_total 3\n") && text.ends_with("# EOF\n"), "{text}");
    }
    let error = merger.merge_process(&tempfile::tempfile().unwrap()).unwrap_err();
    assert!(error.to_string().contains("empty"), "{error}");
}
