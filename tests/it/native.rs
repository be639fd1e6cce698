//! Native histograms of several processes with different resolutions, taken by real Prometheus servers.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use headcount::{Buckets, NativeBuckets, Registry};
use headcount_tests::native::duration;
use headcount_tests::prometheus::Prometheus;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, peers, wait};

/// The worker program of these tests.
const NATIVE: &str = env!("CARGO_BIN_EXE_test-native");

/// What each worker is told: its schema, its limit, what it observes, and its end. Those with low limits run out of
/// places on the way.
const WORKERS: [[&str; 5]; 4] = [
    ["8", "40", "0", "3000", "exit"],
    ["5", "160", "3000", "9000", "fork"],
    ["3", "160", "9000", "12000", "exit"],
    ["8", "160", "12000", "15000", "hold"],
];
const COUNT: u32 = 15_000;

fn start(directory: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(NATIVE);
    command.args(arguments).env("PROMETHEUS_MULTIPROC_DIR", directory).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "done\n");
    child
}

/// A worker that is killed when the test ends, however it does.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets all workers observe, and gives those that go on.
fn observe(directory: &Path) -> Vec<Held> {
    let mut held = Vec::new();
    for arguments in WORKERS {
        let mut child = start(directory, &arguments);
        if arguments[4] == "hold" {
            held.push(Held(child));
        } else {
            assert!(child.wait().unwrap().success());
        }
    }
    held
}

/// By how many times the bounds of what is exposed grow.
fn factor(headcount: &Headcount) -> f64 {
    let path = "/api/v1/metrics?name[]=request_seconds";
    let answer = http::get(&headcount.metrics(), path).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let metric = &json[0]["metrics"][0];
    assert_eq!(metric["count"], COUNT.to_string(), "{json}");
    let schema = metric["schema"].as_f64().unwrap();
    assert!((-4.0..3.0).contains(&schema), "some worker had to go below its schema: {schema}");
    (-schema).exp2().exp2()
}

fn check(program: &Path, classic: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut held = observe(directory.path());
    let path = directory.path().to_str().unwrap();
    let headcount = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
    let factor = factor(&headcount);
    let config = Prometheus::config(&headcount.metrics(), &format!("    {classic}: true\n"));
    let prometheus = Prometheus::start_program(program, &config, &["--enable-feature=native-histograms"]);
    prometheus.wait_for("histogram_count(request_seconds)", f64::from(COUNT));
    let mut durations: Vec<f64> = (0..COUNT).map(duration).collect();
    let sum: f64 = durations.iter().sum();
    let stored = prometheus.query("histogram_sum(request_seconds)").unwrap();
    assert!((stored / sum - 1.0).abs() < 1e-9, "{stored} is not {sum}");
    durations.sort_by(f64::total_cmp);
    for percent in [1_u32, 10, 25, 50, 75, 90, 99] {
        let exact = durations[(COUNT * percent).div_ceil(100) as usize - 1];
        let quantile = f64::from(percent) / 100.0;
        let found = prometheus.query(&format!("histogram_quantile({quantile}, request_seconds)")).unwrap();
        let error = (found / exact).max(exact / found);
        assert!(error <= factor, "{percent} %: {found} is not {exact}, by {error} and not {factor}");
    }
    // What has bounds is there, too.
    let below = durations.partition_point(|duration| *duration <= 0.01);
    let bucket = "request_seconds_bucket{le=\"0.01\"}";
    wait::until_true(bucket, || prometheus.query(bucket) == Some(f64::from(u32::try_from(below).unwrap())));
    prometheus.wait_for("request_seconds_count", f64::from(COUNT));
    // While a worker goes on, no scrape fails: its counts and its buckets always agree.
    let scrapes = "count_over_time(going_on_seconds[10m:1s])";
    wait::until_true("many scrapes", || prometheus.query(scrapes) >= Some(8.0));
    assert_eq!(prometheus.query("min_over_time(up[10m])"), Some(1.0));
    assert_eq!(prometheus.query("resets(going_on_seconds[10m])"), Some(0.0));
    // Whoever is killed has observed what he has.
    let before = prometheus.query("histogram_count(going_on_seconds)").unwrap();
    held.clear();
    wait::until_true("another scrape", || {
        let count = "histogram_count(going_on_seconds)";
        prometheus.query(count).is_some_and(|count| count >= before)
    });
    assert_eq!(prometheus.query("resets(request_seconds[10m])"), Some(0.0));
    prometheus.wait_for("histogram_count(request_seconds)", f64::from(COUNT));
}

/// What asks the Prometheus of a suite for buckets with bounds beside the others.
fn classic(suite: &str) -> &'static str {
    if suite == "sid" { "always_scrape_classic_histograms" } else { "scrape_classic_histograms" }
}

/// A release that does not know native histograms as they are today takes them by their bounds.
#[test]
fn the_prometheus_of_this_system_takes_the_buckets_with_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let _held = observe(directory.path());
    let path = directory.path().to_str().unwrap();
    let headcount = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
    let prometheus = Prometheus::start(&Prometheus::config(&headcount.metrics(), ""));
    prometheus.wait_for("request_seconds_count", f64::from(COUNT));
    prometheus.wait_for("request_seconds_bucket{le=\"+Inf\"}", f64::from(COUNT));
    assert_eq!(prometheus.query("min_over_time(up[10m])"), Some(1.0));
}

#[test]
fn later_prometheuses_find_quantiles_as_exact_as_the_schema_says() {
    for (suite, program) in peers::newer_prometheuses() {
        check(&program, classic(suite));
    }
}

#[test]
fn later_prometheuses_store_exemplars_of_native_histograms_and_of_buckets_with_bounds() {
    for (suite, program) in peers::newer_prometheuses() {
        let directory = tempfile::tempdir().unwrap();
        // Two processes' files.
        for observed in [[(0.001, "fast"), (0.3, "older")], [(0.35, "newer"), (20.0, "slow")]] {
            let registry = Registry::in_directory(directory.path()).unwrap();
            let bounds = Buckets::new([0.01, 1.0]).unwrap();
            let both = NativeBuckets::default().and_classic(bounds);
            let only = registry.native_histogram("only", "", NativeBuckets::default()).unwrap();
            let both = registry.native_histogram("both", "", both).unwrap();
            for (value, id) in observed {
                only.observe_with_exemplar(value, [("id", id)]);
                both.observe_with_exemplar(value, [("id", id)]);
            }
        }
        let path = directory.path().to_str().unwrap();
        let headcount = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
        let flags = ["--enable-feature=native-histograms,exemplar-storage"];
        let config = Prometheus::config(&headcount.metrics(), &format!("    {}: true\n", classic(suite)));
        let prometheus = Prometheus::start_program(&program, &config, &flags);
        prometheus.wait_for("histogram_count(only)", 4.0);
        // The earlier one takes those of buckets with bounds, and no others.
        let series =
            ["only", "both", "both_bucket"].into_iter().filter(|series| suite == "sid" || *series != "only");
        for series in series {
            let found = wait::until(format!("{suite}: exemplars of {series}"), || {
                let found = prometheus.exemplars(series).into_iter();
                let mut ids: Vec<_> = found.map(|labels| labels["id"].clone()).collect();
                ids.sort_unstable();
                Some(ids).filter(|ids| ids.len() >= 3)
            });
            assert_eq!(found, ["fast", "newer", "slow"], "{suite}: {series}");
        }
        assert_eq!(prometheus.query("min_over_time(up[10m])"), Some(1.0));
    }
}
