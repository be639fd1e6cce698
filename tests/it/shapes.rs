//! Infos, state sets, gauge histograms and gauges of differences in every format, read by what is not ours.

use std::path::Path;
use std::process::Command;

use headcount::{Buckets, GaugeMode, Registry};
use headcount_merge::{Exposition, Format, Merger, Otlp};
use headcount_store::directory::Directory;
use headcount_tests::exposition::{read_json, read_protobuf};
use headcount_tests::otlp::{Request, pairs};
use headcount_tests::prometheus::Prometheus;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, peers, wait};
use prost::Message;

use crate::formats::{check_with_promtool, read_with_python, sorted};

/// One of each shape, with and without labels, of two processes that live: both are this one.
fn record(directory: &Path) {
    for n in [1.0, 2.0] {
        let registry = Registry::in_directory(directory).unwrap();
        registry.info("app", "What \"runs\".", [("version", &n.to_string())]).unwrap().hold();
        let phases = registry.state_set_family("a_phase", "What goes on.", ["on", "off"], ["zone"]).unwrap();
        phases.with(["a"]).set("on");
        phases.with(["b"]).enable("off");
        let buckets = Buckets::new([-1.0, 0.5, 10.0]).unwrap();
        let ages = registry.gauge_histogram_family("age_seconds", "How old.", buckets, ["l"]).unwrap();
        ages.with(["x"]).set([n, 0.25]);
        ages.with(["y"]).inc(-2.0);
        registry.up_down("open", "What is open.", GaugeMode::LiveSum).unwrap().add(n);
    }
}

#[test]
fn all_formats_of_the_rarer_shapes_are_valid_and_say_the_same() {
    let (directory, expositions) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(directory.path());
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(directory.path()).unwrap()).unwrap();
    let encode = |format| merged.encode(&Exposition::new(format));
    let file = |kind: &str| expositions.path().join(format!("x.{kind}"));
    std::fs::write(file("text"), encode(Format::Text)).unwrap();
    std::fs::write(file("openmetrics"), encode(Format::OpenMetrics)).unwrap();
    check_with_promtool(&encode(Format::Text));
    let read = read_with_python(expositions.path());
    let text = sorted(&read["x.text"]);
    // Two infos, four states, twice four buckets, a count and a sum, and a gauge.
    assert_eq!(text.len(), 2 + 4 + 2 * 6 + 1, "{text:?}");
    assert_eq!(text, sorted(&read["x.openmetrics"]));
    assert_eq!(text, sorted(&read_protobuf(&encode(Format::Protobuf))));
    assert_eq!(text, sorted(&read_json(&encode(Format::Json))));
    let openmetrics = String::from_utf8(encode(Format::OpenMetrics)).unwrap();
    for family in ["app info", "a_phase stateset", "age_seconds gaugehistogram", "open gauge"] {
        assert!(openmetrics.contains(&format!("# TYPE {family}\n")), "{openmetrics}");
    }
}

#[test]
fn opentelemetry_gets_sums_that_may_fall_and_gauges() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(directory.path()).unwrap()).unwrap();
    let request = merged.to_otlp(&Otlp { resource: &[], start: 0, time: 7 });
    let request = Request::decode(&*request).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let ages = ["age_seconds_bucket", "age_seconds_gcount", "age_seconds_gsum"];
    assert_eq!(names, ["a_phase", ages[0], ages[1], ages[2], "app_info", "open"]);
    for metric in metrics {
        let is_sum = ["a_phase", "app_info"].contains(&&*metric.name);
        assert_eq!((metric.sum.is_some(), metric.gauge.is_some()), (is_sum, !is_sum), "{metric:?}");
        assert!(!metric.sum.as_ref().is_some_and(|sum| sum.is_monotonic), "{metric:?}");
    }
    let points = &metrics[1].gauge.as_ref().unwrap().data_points;
    assert_eq!(points.len(), 8);
    assert_eq!(pairs(&points[2].attributes), [("l", "x"), ("le", "10.0")]);
    assert_eq!(points[2].as_double, Some(4.0));
}

/// How parts of gauge histograms are called: by OpenMetrics, and by the releases that know them in protobuf, which
/// call them as those of histograms.
const WAYS: [(&[&str], &str); 2] = [(&[], "gcount"), (&["--enable-feature=native-histograms"], "count")];

fn check_stored(program: &Path, ways: &[(&[&str], &str)]) {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let path = directory.path().to_str().unwrap();
    let headcount = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
    let config = Prometheus::config(&headcount.metrics(), "");
    for (flags, count) in ways {
        let prometheus = Prometheus::start_program(program, &config, flags);
        prometheus.wait_for("up", 1.0);
        let value = |expression: &str, expected: f64| {
            wait::until_true(expression, || prometheus.query(expression) == Some(expected));
        };
        value("count(app_info)", 2.0);
        value("a_phase{a_phase=\"off\",zone=\"b\"}", 1.0);
        value("age_seconds_bucket{l=\"x\",le=\"10.0\"}", 4.0);
        value(&format!("age_seconds_{count}{{l=\"y\"}}"), 2.0);
        value("open", 3.0);
    }
}

#[test]
fn the_prometheus_of_this_system_stores_the_rarer_shapes() {
    check_stored(&peers::prometheus(), &WAYS[..1]);
}

#[test]
fn later_prometheuses_store_the_rarer_shapes_by_protobuf_too() {
    for (_, program) in peers::newer_prometheuses() {
        check_stored(&program, &WAYS);
    }
}

#[test]
fn inspecting_shows_what_a_file_says_of_them() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let output = Command::new(binary::headcount()).args(["inspect", "--json"]).arg(file).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let entries: Vec<(String, f64)> = shown
        .lines()
        .map(|line| {
            let (key, value, _): (String, f64, f64) = serde_json::from_str(line).unwrap();
            (key, value)
        })
        .collect();
    assert_eq!(entries.len(), 1 + 4 + 2 * 5 + 1, "{shown}");
    let states: Vec<_> = entries.iter().filter(|(key, _)| key.contains("\"a\"")).collect();
    assert_eq!(states[0].0, r#"["a_phase","a_phase",{"a_phase":"on","zone":"a"},"What goes on."]"#);
    assert_eq!((states[0].1, states[1].1), (1.0, 0.0));
    assert!(entries[0].0.starts_with(r#"["app","app_info",{"version":"#), "{shown}");
}
