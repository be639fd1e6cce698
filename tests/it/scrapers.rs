//! Real Prometheus servers of several releases scrape every format, and store the same.

use std::collections::BTreeMap;

use headcount_tests::prometheus::Prometheus;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{peers, wait};

use crate::formats::{odd_directory, small_directory};

/// The job of a server that has one.
const JOB: &str = "headcount";

/// A way to scrape: what it is called, flags of the server, and lines of the job.
type Way = (&'static str, &'static [&'static str], &'static str);

/// What every release can do: ask for OpenMetrics, and for protobuf.
const EVERY: [Way; 2] = [("default", &[], ""), ("protobuf", &["--enable-feature=native-histograms"], "")];

/// What those can do that let a job choose.
const CHOSEN: [Way; 5] = [
    ("text 0.0.4", &[], "    scrape_protocols: [PrometheusText0.0.4]\n"),
    ("OpenMetrics 0.0.1", &[], "    scrape_protocols: [OpenMetricsText0.0.1]\n"),
    ("OpenMetrics 1.0.0", &[], "    scrape_protocols: [OpenMetricsText1.0.0]\n"),
    (
        "protobuf, chosen",
        &["--enable-feature=native-histograms"],
        "    scrape_protocols: [PrometheusProto]\n",
    ),
    ("uncompressed", &[], "    enable_compression: false\n"),
];

/// What only the newest can do.
const NEWEST: [Way; 3] = [
    ("text 1.0.0", &[], "    scrape_protocols: [PrometheusText1.0.0]\n"),
    (
        "old names",
        &[],
        "    metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: underscores\n",
    ),
    (
        "names by value",
        &[],
        "    metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: values\n",
    ),
];

fn serve(directory: &tempfile::TempDir) -> Headcount {
    let path = directory.path().to_str().unwrap();
    Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"])
}

/// What is stored of the workers' metrics, without what says when and where, and with names in one form.
pub(crate) fn stored(prometheus: &Prometheus, job: &str) -> Vec<(BTreeMap<String, String>, String)> {
    let in_one_form = |text: &str| {
        let forms = [("U__room_2e_temp", "room_temp"), ("U__floor_2e_no", "floor_no")];
        let others = [("room.temp", "room_temp"), ("floor.no", "floor_no")];
        let known = forms.into_iter().chain(others).find(|(form, _)| *form == text);
        known.map_or(text, |(_, name)| name).to_owned()
    };
    let own = format!("{{job=\"{job}\",__name__!~\"up|scrape_.*|headcount_.*|process_.*\"}}");
    let mut series: Vec<_> = prometheus
        .series(&own)
        .into_iter()
        .map(|(labels, value)| {
            let labels = labels.iter().map(|(name, value)| (in_one_form(name), in_one_form(value)));
            (labels.filter(|(name, _)| name != "instance" && name != "job").collect(), value)
        })
        .collect();
    series.sort_unstable();
    series
}

/// Scrapes both directories in every way at the same time.
fn check(program: &std::path::Path, ways: &[Way]) {
    let (small, odd) = (small_directory(), odd_directory());
    let (plain, odd) = (serve(&small), serve(&odd));
    let start = |target: &Headcount, &(_, flags, job): &Way| {
        Prometheus::start_program(program, &Prometheus::config(&target.metrics(), job), flags)
    };
    // A few at a time: each takes its memory.
    let mut expected = None;
    for ways in ways.chunks(3) {
        let started: Vec<_> = ways.iter().map(|way| (way, start(&plain, way), start(&odd, way))).collect();
        for (way, plain, odd) in started {
            plain.wait_for("up", 1.0);
            let series = wait::until(format!("{}: samples", way.0), || {
                Some(stored(&plain, JOB)).filter(|series| series.len() == 6)
            });
            assert_eq!(*expected.get_or_insert_with(|| series.clone()), series, "{}", way.0);
            // One line that is not valid, and nothing is stored.
            odd.wait_for("up", 1.0);
            wait::until_true(format!("{}: odd samples", way.0), || stored(&odd, JOB).len() > 50);
        }
    }
}

#[test]
fn the_prometheus_of_this_system_stores_the_same_by_every_format() {
    check(&peers::prometheus(), &EVERY);
}

#[test]
fn later_prometheuses_store_the_same_by_every_format() {
    for (suite, program) in peers::newer_prometheuses() {
        let newest = if suite == "sid" { NEWEST.as_slice() } else { &[] };
        let ways: Vec<_> = EVERY.iter().chain(&CHOSEN).chain(newest).copied().collect();
        check(&program, &ways);
    }
}

#[test]
fn victoria_metrics_stores_what_prometheus_does() {
    let (small, odd) = (small_directory(), odd_directory());
    let (plain, odd) = (serve(&small), serve(&odd));
    let start = |program: &std::path::Path, target: &Headcount| {
        Prometheus::start_victoria(program, &Prometheus::config(&target.metrics(), ""), &[])
    };
    let expected = {
        let prometheus = Prometheus::start(&Prometheus::config(&plain.metrics(), ""));
        wait::until("samples", || Some(stored(&prometheus, JOB)).filter(|series| series.len() == 6))
    };
    for program in [Some(peers::victoria()), peers::newer_victoria()].into_iter().flatten() {
        let (plain, odd) = (start(&program, &plain), start(&program, &odd));
        plain.wait_for("up", 1.0);
        odd.wait_for("up", 1.0);
        wait::until_true("samples", || stored(&plain, JOB).len() >= 6);
        assert_eq!(stored(&plain, JOB), expected, "{}", program.display());
        wait::until_true("odd samples", || stored(&odd, JOB).len() > 50);
    }
}
