//! Infos, state sets, gauge histograms and gauges of differences, across processes that live, die and are folded.

use std::cell::RefCell;

use headcount::{Buckets as Bounds, GaugeMode, Registry};
use headcount_merge::{Buckets, Exposition, Format, Merger};

use crate::host::Host;

/// Who scrapes a host, again and again.
#[derive(Default)]
struct Scraper(RefCell<Merger>);

impl Scraper {
    fn encode(&self, host: &Host, format: Format) -> String {
        String::from_utf8(self.encode_bytes(host, format)).unwrap()
    }

    fn encode_bytes(&self, host: &Host, format: Format) -> Vec<u8> {
        let directory = host.directory();
        let encode = |merger: &mut Merger| {
            let merged = merger.merge(&directory).unwrap();
            assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
            merged.encode(&Exposition::new(format))
        };
        let known = encode(&mut self.0.borrow_mut());
        assert_eq!(known, encode(&mut Merger::default()), "what is known from before changes nothing");
        known
    }

    /// The samples, in text 0.0.4.
    fn samples(&self, host: &Host) -> Vec<String> {
        for format in [Format::OpenMetrics, Format::Protobuf] {
            self.encode_bytes(host, format);
        }
        let text = self.encode(host, Format::Text);
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }
}

fn info(version: &'static str) -> impl Fn(Registry) {
    move |registry| registry.info("app", "What runs.", [("version", version)]).unwrap().hold()
}

#[test]
fn an_info_is_that_of_the_living_and_else_of_who_started_last() {
    let (host, scraper) = (Host::new(), Scraper::default());
    let shown = |version: &str| format!("app_info{{version=\"{version}\"}} 1");
    host.bury(info("1"));
    host.bury(info("2"));
    assert_eq!(scraper.samples(&host), [shown("2")]);
    host.fold();
    assert_eq!(scraper.samples(&host), [shown("2")], "an archive keeps it");
    host.bury(info("3"));
    assert_eq!(scraper.samples(&host), [shown("3")]);
    host.fold();
    host.bury(|registry| registry.counter("c", "").unwrap().inc());
    host.fold();
    assert_eq!(scraper.samples(&host)[..1], [shown("3")], "one that has none says nothing");
    for _ in 0..2 {
        host.live(info("4"));
    }
    host.live(info("5"));
    assert_eq!(scraper.samples(&host)[..2], [shown("4"), shown("5")], "a deployment goes on");
}

#[test]
fn a_state_is_on_if_any_living_process_is_in_it() {
    let (host, scraper) = (Host::new(), Scraper::default());
    let phase = |states: [&'static str; 2], on: &'static str| {
        move |registry: Registry| {
            let sets = registry.state_set_family("phase", "H.", states, ["zone"]).unwrap();
            sets.with(["a"]).set(on);
            let _unset = sets.with(["b"]);
        }
    };
    host.bury(phase(["off", "on"], "off"));
    assert_eq!(scraper.samples(&host), [""; 0], "the dead are in no state");
    host.live(phase(["off", "on"], "on"));
    // Another version of the program.
    host.live(phase(["on", "half"], "half"));
    host.fold();
    let shown = ["half", "off", "on"].into_iter().zip([1, 0, 1]);
    let shown: Vec<_> =
        shown.map(|(state, n)| format!("phase{{zone=\"a\",phase=\"{state}\"}} {n}")).collect();
    assert_eq!(scraper.samples(&host), shown);
}

#[test]
fn a_gauge_histogram_is_the_sum_of_the_living_and_may_fall() {
    let (host, scraper) = (Host::new(), Scraper::default());
    let ages = |bounds: &'static [f64], values: &'static [f64]| {
        move |registry: Registry| {
            let bounds = Bounds::new(bounds.iter().copied()).unwrap();
            registry.gauge_histogram("age", "H.", bounds).unwrap().set(values.iter().copied());
        }
    };
    host.bury(ages(&[1.0, 2.0], &[0.5]));
    assert_eq!(scraper.encode(&host, Format::Text), "# HELP age H.\n# TYPE age histogram\n");
    host.live(ages(&[1.0, 2.0], &[0.5, 1.5, 9.0]));
    host.live(ages(&[1.0, 4.0], &[3.0]));
    host.fold();
    let text = "# HELP age H.
# TYPE age histogram
age_bucket{le=\"1.0\"} 1
age_bucket{le=\"2.0\"} 2
age_bucket{le=\"4.0\"} 3
age_bucket{le=\"+Inf\"} 4
# HELP age_gcount H.
# TYPE age_gcount gauge
age_gcount 4
# HELP age_gsum H.
# TYPE age_gsum gauge
age_gsum 14
";
    assert_eq!(scraper.encode(&host, Format::Text), text);
    let directory = host.directory();
    let mut merger = Merger::default().keeping_files_open();
    let by_bucket = merger.merge(&directory).unwrap().to_text(Buckets::PerBucket);
    let by_bucket = String::from_utf8(by_bucket).unwrap();
    assert!(by_bucket.contains("age_bucket{le=\"4.0\"} 1\n") && !by_bucket.contains("gcount"), "{by_bucket}");
}

#[test]
fn differences_are_added_up_over_threads_and_processes() {
    let (host, scraper) = (Host::new(), Scraper::default());
    let differences = |n: f64| {
        move |registry: Registry| {
            for mode in [GaugeMode::Sum, GaugeMode::LiveSum] {
                let gauge = registry.up_down_family(&format!("g_{mode}"), "H.", mode, ["l"]).unwrap();
                let _untouched = gauge.with(["untouched"]);
                std::thread::scope(|scope| {
                    scope.spawn(|| gauge.with(["x"]).add(n + 5.0));
                });
                gauge.with(["x"]).add(-5.0);
            }
        }
    };
    host.bury(differences(100.0));
    host.bury(differences(20.0));
    let kept = |x: u32| ["g_sum{l=\"untouched\"} 0".to_owned(), format!("g_sum{{l=\"x\"}} {x}")];
    assert_eq!(scraper.samples(&host), kept(120), "in flight is nothing of the dead");
    host.fold();
    assert_eq!(scraper.samples(&host), kept(120));
    host.live(differences(3.0));
    host.live(|registry| registry.gauge("g_livesum", "H.", GaugeMode::LiveSum).unwrap().set(0.5));
    let mut all = vec!["g_livesum 0.5".to_owned()];
    all.extend(["g_livesum{l=\"untouched\"} 0", "g_livesum{l=\"x\"} 3"].map(str::to_owned));
    all.extend(kept(123));
    assert_eq!(scraper.samples(&host), all);
}

#[test]
fn openmetrics_calls_each_by_its_type() {
    let (host, scraper) = (Host::new(), Scraper::default());
    host.live(|registry| {
        info("1")(registry);
        registry.state_set("phase", "H.", ["on"]).unwrap().set("on");
        let bounds = Bounds::new([1.0]).unwrap();
        registry.gauge_histogram("age", "H.", bounds.clone()).unwrap().set([0.5]);
        // Less than nothing is no count.
        registry.gauge_histogram("odd", "H.", bounds).unwrap().dec(0.5);
    });
    let expected = "# HELP age H.
# TYPE age gaugehistogram
age_bucket{le=\"1.0\"} 1
age_bucket{le=\"+Inf\"} 1
age_gcount 1
age_gsum 0.5
# HELP app What runs.
# TYPE app info
app_info{version=\"1\"} 1
# HELP odd_bucket H.
# TYPE odd_bucket unknown
odd_bucket{le=\"1.0\"} -1
odd_bucket{le=\"+Inf\"} -1
# HELP odd_gcount H.
# TYPE odd_gcount unknown
odd_gcount -1
# HELP odd_gsum H.
# TYPE odd_gsum unknown
odd_gsum -0.5
# HELP phase H.
# TYPE phase stateset
phase{phase=\"on\"} 1
# EOF
";
    assert_eq!(scraper.encode(&host, Format::OpenMetrics), expected);
}
