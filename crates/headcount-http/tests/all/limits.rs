//! Whatever clients send, there are no more series than documented.

use headcount::Registry;
use headcount_http::{Arrival, Body, Label, Metric, OTHER, Options, Recorder, TokenUsage};

use crate::{arrive, record, value};

fn label_sets(registry: Registry) -> usize {
    registry.render().lines().filter(|line| line.starts_with("http_requests_total{")).count()
}

/// Something that an attacker would send, different for each number.
fn random(n: u32) -> String {
    format!("{:08x}", n.wrapping_mul(0x9e37_79b9))
}

fn request(recorder: Recorder, method: &str, route: Option<&str>, labels: &[&str], response: &[String]) {
    let arrival = Arrival { method, route, path: "/x", labels, ..Arrival::default() };
    let mut life = recorder.arrive(&arrival, |()| ());
    life.answered(404, Body::None, response.to_vec());
}

#[test]
fn a_hundred_thousand_paths_and_methods_that_no_route_matches_are_one_label_set_for_each_method() {
    let (recorder, registry) = record(Options::new());
    for n in 0..100_000 {
        let method = if n % 2 == 0 { "GET".to_owned() } else { random(n) };
        request(recorder, &method, None, &[], &[]);
    }
    assert_eq!(label_sets(registry), 2);
    for method in ["GET", OTHER] {
        let key = format!("http_requests_total{{method=\"{method}\",route=\"unmatched\",status=\"404\"}}");
        assert_eq!(value(registry, &key), 50_000.0);
    }
}

#[test]
fn an_own_function_that_returns_raw_paths_fills_the_label_sets_and_no_more() {
    let (recorder, registry) = record(Options::new().label_sets(100));
    for n in 0..100_000 {
        request(recorder, "GET", Some(&random(n)), &[], &[]);
    }
    // An endpoint and its answers count: so 50 of each, and the catch-all.
    assert_eq!(label_sets(registry), 51);
    let other = format!("http_requests_total{{method=\"GET\",route=\"{OTHER}\",status=\"404\"}}");
    assert_eq!(value(registry, &other), 99_950.0);
    assert_eq!(value(registry, "http_label_overflow_total"), 99_950.0);
}

#[test]
fn computed_labels_have_as_many_values_as_they_may() {
    let options = Options::new().request_label("host", Some(10)).response_label("cache", Some(2));
    let (recorder, registry) = record(options.labels(Metric::Requests, &[Label::Status]));
    for n in 0..100_000 {
        request(recorder, "GET", Some("/a"), &[&random(n)], &[random(n % 5)]);
    }
    let text = registry.render();
    let values = |label: &str| {
        let lines = text.lines().filter(|line| line.starts_with("http_requests_total{"));
        let value = |line: &str| {
            line.split_once(&format!("{label}=\""))?.1.split_once('"').map(|(v, _)| v.to_owned())
        };
        lines.filter_map(value).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((values("host"), values("cache")), (11, 3));
    assert_eq!(
        value(registry, &format!("http_requests_total{{status=\"404\",host=\"{OTHER}\",cache=\"{OTHER}\"}}")),
        59_994.0
    );
}

#[test]
fn models_have_as_many_names_as_a_hundred() {
    let (recorder, registry) = record(Options::new().with(Metric::Tokens));
    let life = arrive(recorder, "POST", "/chat");
    for n in 0..1000 {
        life.reporter().unwrap().tokens(&TokenUsage::new(random(n), 1, 2));
    }
    let text = registry.render();
    assert_eq!(text.lines().filter(|line| line.starts_with("http_token_usage_total{")).count(), 3 * 101);
    let other = format!("http_token_usage_total{{route=\"/chat\",model=\"{OTHER}\",kind=\"total\"}}");
    assert_eq!(value(registry, &other), 2700.0);
}
