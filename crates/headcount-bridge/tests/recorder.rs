//! The recorder, without installing it: the macros of `metrics` take one for the length of a closure.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use headcount::{Buckets, GaugeMode, Registry};
use headcount_bridge::{Matcher, Recorder, RecorderBuilder};
use metrics::{Unit, counter, describe_counter, describe_histogram, gauge, histogram, with_local_recorder};

/// What is exposed of what `work` counts.
fn record(builder: RecorderBuilder, work: impl Fn()) -> String {
    let registry = Registry::private().unwrap();
    let recorder = builder.registry(registry).build().unwrap();
    with_local_recorder(&recorder, work);
    registry.render()
}

fn check(text: &str, samples: &[&str]) {
    for sample in samples {
        assert!(text.lines().any(|line| line == *sample), "{sample}: {text}");
    }
}

#[test]
fn what_the_macros_count_is_counted() {
    let text = record(Recorder::builder(), || {
        describe_counter!("http.requests", "Requests.");
        for _ in 0..3 {
            counter!("http.requests", "method" => "GET", "code" => "200").increment(2);
            counter!("http.requests", "code" => "200", "method" => "GET").increment(1);
        }
        counter!("http.requests").absolute(7);
        counter!("http.requests").absolute(5);
        counter!("http.requests").absolute(9);
        gauge!("open").set(5.0);
        gauge!("open").decrement(1.5);
        gauge!("open").increment(1.0);
        histogram!("took").record(0.02);
        histogram!("took").record_many(0.3, 2);
    });
    check(
        &text,
        &["# HELP http_requests_total Requests.", "http_requests_total 9", "open 4.5", "took_count 3"],
    );
    check(&text, &["http_requests_total{code=\"200\",method=\"GET\"} 9", "took_bucket{le=\"0.025\"} 1"]);
    assert_eq!(text.matches("# TYPE http_requests_total").count(), 1, "{text}");
}

#[test]
fn buckets_modes_and_labels_are_those_that_were_chosen() {
    let builder = Recorder::builder()
        .buckets(Buckets::new([1.0]).unwrap())
        .buckets_for(Matcher::suffix("_bytes"), Buckets::new([1024.0]).unwrap())
        .gauge_mode_for(Matcher::full("build"), GaugeMode::Max)
        .global_label("zone", "eu")
        .global_label("le", "x");
    let text = record(builder, || {
        histogram!("sent_bytes", "zone" => "us").record(5.0);
        histogram!("took").record(5.0);
        gauge!("build", "__name__" => "a", "pid" => "7").set(1.0);
    });
    check(&text, &["sent_bytes_bucket{exported_le=\"x\",zone=\"us\",le=\"1024.0\"} 1"]);
    check(&text, &["took_bucket{exported_le=\"x\",zone=\"eu\",le=\"1.0\"} 0"]);
    check(&text, &["build{_name__=\"a\",exported_pid=\"7\",le=\"x\",zone=\"eu\"} 1"]);
}

#[test]
fn units_stand_in_names_if_that_is_wanted() {
    let work = || {
        describe_histogram!("took", Unit::Seconds, "How long.");
        histogram!("took").record(0.5);
        describe_counter!("part_total", Unit::Percent, "Parts.");
        counter!("part_total").increment(1);
    };
    check(&record(Recorder::builder(), work), &["took_count 1", "part_total 1"]);
    let text = record(Recorder::builder().recommended_naming(), work);
    check(&text, &["took_seconds_count 1", "part_ratio_total 1", "# HELP took_seconds How long."]);
}

#[test]
fn a_name_of_another_kind_counts_nowhere_and_disturbs_nobody() {
    let text = record(Recorder::builder(), || {
        counter!("x").increment(1);
        gauge!("x").set(7.0);
        gauge!("x").increment(1.0);
        counter!("").increment(1);
    });
    assert_eq!(text, "# HELP x_total \n# TYPE x_total counter\nx_total 1\n");
}

#[test]
fn however_many_label_sets_there_are_what_is_counted_is_there_and_memory_has_a_bound() {
    let text = record(Recorder::builder(), || {
        for n in 0..100_000 {
            counter!("jobs", "customer" => n.to_string()).increment(1);
        }
        for _ in 0..3 {
            counter!("jobs", "customer" => "late").increment(2);
            // Nobody knows what it was set to before.
            counter!("jobs", "customer" => "late").absolute(50);
            counter!("other").increment(1);
        }
    });
    check(
        &text,
        &["jobs_total{customer=\"9999\"} 1", "jobs_total{customer=\"overflow\"} 90006", "other_total 3"],
    );
}
