//! `headcount inspect` of a worker's file: what it says of a series beside its values.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use headcount::{Buckets, NativeBuckets, Registry};
use headcount_tests::binary;

/// The entries of the only file: key, value and time.
fn inspect(directory: &Path) -> Vec<(String, f64, f64)> {
    let file = std::fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    let output = Command::new(binary::headcount()).args(["inspect", "--json"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = String::from_utf8(output.stdout).unwrap();
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Of these entries, the values by keys, in which a family and its help text are left out; without those of times.
fn values(entries: &[(String, f64, f64)]) -> Vec<(String, f64)> {
    let key = |key: &str| {
        let (_, name, labels, _): (String, String, serde_json::Value, serde_json::Value) =
            serde_json::from_str(key).unwrap();
        format!("{name} {labels}")
    };
    let values = entries.iter().map(|(spelled, value, _)| (key(spelled), *value));
    values.filter(|(key, _)| !key.contains("_created")).collect()
}

#[test]
fn since_when_a_series_is_and_that_it_was_removed_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let before = now();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let jobs = registry.counter_family("jobs", "Jobs.", ["queue"]).unwrap();
    ["kept", "gone"].iter().for_each(|queue| jobs.with([queue]).add(3));
    registry.gauge("open", "Open.", headcount::GaugeMode::Sum).unwrap().set(1.0);
    assert!(jobs.remove(["gone"]));
    let entries = inspect(directory.path());
    let expected = [
        ("jobs_total {\"queue\":\"kept\"}", 3.0),
        ("jobs_total (removed) {\"queue\":\"gone\"}", 3.0),
        ("open {}", 1.0),
    ];
    assert_eq!(values(&entries), expected.map(|(key, value)| (key.to_owned(), value)));
    let created: Vec<_> = entries.iter().filter(|(key, ..)| key.contains("_created")).collect();
    assert_eq!(created[0].0, r#"["jobs","jobs_created",{"queue":"kept"},"Jobs."]"#);
    assert_eq!(created[1].0, r#"["jobs","jobs_created (removed)",{"queue":"gone"},"Jobs."]"#);
    assert_eq!(created.len(), 2, "a gauge has none");
    // The clock that is asked may be some milliseconds behind.
    assert!(
        created.iter().all(|(_, time, _)| before - 1.0 < *time && *time <= now()),
        "{before} {entries:?}"
    );
}

#[test]
fn the_buckets_of_a_native_histogram_are_shown_with_what_they_hold() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let buckets = NativeBuckets::with_schema(0).unwrap().and_classic(Buckets::new([2.0]).unwrap());
    let sizes = registry.native_histogram("sizes", "Sizes.", buckets).unwrap();
    [0.0, 1.5, 1.75, 3.0, -3.0].iter().for_each(|&size| sizes.observe(size));
    let values = values(&inspect(directory.path()));
    let value = |key: &str| values.iter().find(|(known, _)| known == key).map(|&(_, value)| value);
    assert_eq!(value("sizes (zero) {}"), Some(1.0), "{values:?}");
    assert_eq!(value("sizes (NaN) {}"), Some(0.0), "{values:?}");
    for (bucket, count) in [("(1e0,2e0]", 2.0), ("(2e0,4e0]", 1.0), ("[-4e0,-2e0)", 1.0)] {
        assert_eq!(value(&format!("sizes (bucket) {{\"bucket\":\"{bucket}\"}}")), Some(count), "{values:?}");
    }
    assert_eq!(values.iter().filter(|(key, _)| key.contains("(bucket)")).count(), 3, "{values:?}");
    assert_eq!(value("sizes_bucket {\"le\":\"2.0\"}"), Some(4.0), "not cumulated: {values:?}");
}

#[test]
fn exemplars_are_shown_after_what_they_were_counted_with() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let seconds = registry.histogram("seconds", "Seconds.", Buckets::new([1.0]).unwrap()).unwrap();
    seconds.observe(0.25);
    seconds.observe_with_exemplar(2.5, [("trace_id", "abc"), ("a", "b")]);
    registry.counter("jobs", "Jobs.").unwrap().add_with_exemplar(7, [("trace_id", "def")]);
    let native = registry.native_histogram("n", "", NativeBuckets::default()).unwrap();
    native.observe_with_exemplar(4.0, [("trace_id", "ghi")]);
    let entries = inspect(directory.path());
    let place = |of: &str| entries.iter().position(|(key, ..)| key == of).unwrap();
    assert_eq!(entries[place(r#"["n","n (exemplar)",{},{"trace_id":"ghi"}]"#)].1, 4.0);
    let exemplars = [
        (r#"["seconds","seconds_bucket (exemplar)",{"le":"+Inf"},{"a":"b","trace_id":"abc"}]"#, 2.5, 1.0),
        (r#"["jobs","jobs_total (exemplar)",{},{"trace_id":"def"}]"#, 7.0, 7.0),
    ];
    for (key, observed, counted) in exemplars {
        let at = place(key);
        let (_, value, time) = &entries[at];
        assert_eq!((*value, entries[at - 1].1), (observed, counted), "{entries:?}");
        assert!((now() - time).abs() < 600.0, "{entries:?}");
    }
    assert_eq!(entries.iter().filter(|(key, ..)| key.contains("(exemplar)")).count(), 3, "{entries:?}");
}
