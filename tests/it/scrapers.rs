//! Real Prometheus servers of several releases scrape every format, from whoever is let in, and store the same.

use std::collections::BTreeMap;
use std::path::Path;

use headcount_tests::prometheus::Prometheus;
use headcount_tests::{peers, wait};

use crate::endpoint::Endpoint;
use crate::formats::{write_odd, write_small};

/// A way to scrape: what it is called, and lines of the job.
type Way = (&'static str, &'static str);

/// What every server can do.
const DEFAULT: Way = ("default", "");

/// What those can do that let a job choose.
const CHOSEN: [Way; 4] = [
    ("text 0.0.4", "    scrape_protocols: [PrometheusText0.0.4]\n"),
    ("OpenMetrics 0.0.1", "    scrape_protocols: [OpenMetricsText0.0.1]\n"),
    ("OpenMetrics 1.0.0", "    scrape_protocols: [OpenMetricsText1.0.0]\n"),
    ("uncompressed", "    enable_compression: false\n"),
];

/// What only the newest can do.
const NEWEST: [Way; 3] = [
    ("text 1.0.0", "    scrape_protocols: [PrometheusText1.0.0]\n"),
    (
        "old names",
        "    metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: underscores\n",
    ),
    (
        "names by value",
        "    metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: values\n",
    ),
];

/// With this flag, the default is protobuf.
const NATIVE: &str = "--enable-feature=native-histograms";

/// And a job may insist on it.
const PROTOBUF: Way = ("protobuf", "    scrape_protocols: [PrometheusProto]\n");

/// The labels and the value of a series.
type Stored = (BTreeMap<String, String>, String);

/// What is stored of the workers' metrics, without what says when and where, and with names in one form.
fn stored(prometheus: &Prometheus, job: &str) -> Vec<Stored> {
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

/// What is to be stored of the small directory.
fn expected() -> Vec<Stored> {
    let series = |labels: &[(&str, &str)], value: &str| {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        (labels.collect(), value.to_owned())
    };
    vec![
        series(&[("__name__", "h_bucket"), ("l", "x"), ("le", "+Inf")], "2"),
        series(&[("__name__", "h_bucket"), ("l", "x"), ("le", "1.0")], "1"),
        series(&[("__name__", "h_count"), ("l", "x")], "2"),
        series(&[("__name__", "h_sum"), ("l", "x")], "2.5"),
        series(&[("__name__", "hits_total")], "3"),
        series(&[("__name__", "room_temp"), ("floor_no", "1"), ("wo", "Küche")], "21.5"),
    ]
}

/// Two directories, each served to everybody and to those who have a password and a certificate.
struct Served {
    small: [Endpoint; 2],
    odd: [Endpoint; 2],
}

/// One scrape of a way: the job's name, and its target with further lines.
type Job<'a> = (String, &'a Endpoint, String);

impl Served {
    fn start() -> Self {
        let filled = |fill: fn(&Path)| {
            let endpoints = [Endpoint::start(""), Endpoint::start_closed()];
            endpoints.iter().for_each(|endpoint| fill(&endpoint.directory));
            endpoints
        };
        Self { small: filled(write_small), odd: filled(write_odd) }
    }

    /// How each endpoint is scraped in a way.
    fn jobs<'a>(what: &str, [open, closed]: &'a [Endpoint; 2], (name, more): Way) -> [Job<'a>; 2] {
        let key = closed.lines_of_job("client", "secret");
        [
            (format!("{what} by {name}"), open, more.to_owned()),
            (format!("{what} by {name} with TLS"), closed, more.to_owned() + &key),
        ]
    }

    /// A server scrapes all of it in all of these ways, and stores the same each time.
    fn check(&self, ways: &[Way], start: impl FnOnce(&str) -> Prometheus) {
        let jobs = |what, endpoints| -> Vec<Job<'_>> {
            ways.iter().flat_map(|&way| Self::jobs(what, endpoints, way)).collect()
        };
        let (small, odd) = (jobs("small", &self.small), jobs("odd", &self.odd));
        let targets: Vec<_> = small
            .iter()
            .chain(&odd)
            .map(|(name, endpoint, more)| (&**name, endpoint.headcount.metrics(), more))
            .collect();
        let config =
            Prometheus::config_of(targets.iter().map(|(name, target, more)| (*name, &**target, *more)));
        let scraper = start(&config);
        for (job, ..) in &small {
            scraper.wait_for(&format!("up{{job=\"{job}\"}}"), 1.0);
            let series = wait::until(format!("samples of {job}"), || {
                Some(stored(&scraper, job)).filter(|series| series.len() == 6)
            });
            assert_eq!(expected(), series, "{job}");
        }
        for (job, ..) in &odd {
            // One line that is not valid, and nothing is stored.
            scraper.wait_for(&format!("up{{job=\"{job}\"}}"), 1.0);
            wait::until_true(format!("samples of {job}"), || stored(&scraper, job).len() > 50);
        }
    }
}

fn check(program: &Path, scrapes: &[(&[Way], &[&str])]) {
    let served = Served::start();
    for (ways, flags) in scrapes {
        served.check(ways, |config| Prometheus::start_program(program, config, flags));
    }
}

#[test]
fn the_prometheus_of_this_system_stores_the_same_by_every_format_with_and_without_tls() {
    check(&peers::prometheus(), &[(&[DEFAULT], &[]), (&[DEFAULT], &[NATIVE])]);
}

#[test]
fn later_prometheuses_store_the_same_by_every_format_with_and_without_tls() {
    for (suite, program) in peers::newer_prometheuses() {
        let newest = if suite == "sid" { NEWEST.as_slice() } else { &[] };
        let chosen = [&[DEFAULT], &CHOSEN[..], newest].concat();
        check(&program, &[(&chosen, &[]), (&[DEFAULT, PROTOBUF], &[NATIVE])]);
    }
}

#[test]
fn victoria_metrics_stores_what_prometheus_does_with_and_without_tls() {
    let served = Served::start();
    for program in [Some(peers::victoria()), peers::newer_victoria()].into_iter().flatten() {
        served.check(&[DEFAULT], |config| Prometheus::start_victoria(&program, config, &[]));
    }
}
