//! Functions that declare metrics.

use headcount::{
    Buckets, Counter, FloatCounter, Gauge, GaugeMode, Histogram, LabelValue, Labels, Registry, Summary,
    metric,
};
use std::borrow::Cow;
use std::sync::LazyLock;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::private().unwrap().with_prefix("test_"));

fn assert_shown(lines: &[&str]) {
    let text = REGISTRY.render();
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "{line}: {text}");
    }
}

/// A counter, whose help text
/// is one paragraph.
///
/// And not this one.
#[metric(registry = REGISTRY)]
fn plain() -> Counter;

/// A sum.
#[metric(registry = REGISTRY, name = "work_seconds")]
pub(crate) fn float() -> FloatCounter;

/// A gauge.
#[metric(mode = GaugeMode::LiveMax, registry = REGISTRY)]
fn gauge() -> Gauge;

/// A histogram with the default buckets.
#[metric(registry = REGISTRY)]
fn default_buckets() -> Histogram;

/// A histogram with bounds.
#[metric(registry = REGISTRY, buckets = [1.0, 2.0])]
fn bounds() -> Histogram;

/// A histogram with computed bounds.
#[metric(registry = REGISTRY, buckets = Buckets::linear(1.0, 1.0, 3))]
fn computed() -> Histogram;

/// A summary.
#[metric(registry = REGISTRY)]
fn summary() -> Summary;

#[test]
fn every_kind_is_declared_by_a_function_that_gives_it() {
    plain().inc();
    plain().inc();
    float().add(0.5);
    gauge().set(7.0);
    default_buckets().observe(0.001);
    bounds().observe(1.5);
    computed().observe(2.5);
    summary().observe(3.0);
    assert_shown(&[
        "# HELP test_plain_total A counter, whose help text is one paragraph.",
        "test_plain_total 2",
        "test_work_seconds_total 0.5",
        "test_gauge 7",
        "test_default_buckets_bucket{le=\"0.005\"} 1",
        "test_bounds_bucket{le=\"1.0\"} 0",
        "test_bounds_bucket{le=\"2.0\"} 1",
        "test_computed_bucket{le=\"3.0\"} 1",
        "test_summary_sum 3",
    ]);
}

#[derive(Clone, Copy, LabelValue)]
enum Method {
    Get,
    Post,
}

#[derive(Labels)]
struct Route<'a> {
    zone: Option<&'a str>,
    path: Cow<'a, str>,
}

/// Numbered labels.
#[metric(registry = REGISTRY)]
fn numbered(method: Method, cached: bool) -> Counter;

/// Texts of any lifetime.
#[metric(registry = REGISTRY)]
fn texts(#[label(rename = "type")] kind: &str, #[label(flatten)] route: Route<'_>, code: u16) -> Histogram;

/// At most two.
#[metric(registry = REGISTRY, limit = 2)]
fn limited(n: u8) -> Counter;

#[test]
fn parameters_are_labels() {
    numbered(Method::Get, true).inc();
    numbered(Method::Post, false).add(2);
    numbered(Method::Post, false).add(2);
    let (kind, zone, path) = ("a".repeat(3), "eu".to_owned(), format!("/{}", 7));
    texts(&kind, Route { zone: Some(&zone), path: Cow::Borrowed(&path) }, 200).observe(1.0);
    texts(&kind, Route { zone: None, path: Cow::Owned(path) }, 200).observe(1.0);
    for n in 0..4 {
        limited(n).inc();
    }
    assert_shown(&[
        "test_numbered_total{method=\"get\",cached=\"true\"} 1",
        "test_numbered_total{method=\"post\",cached=\"false\"} 4",
        "test_texts_count{type=\"aaa\",zone=\"eu\",path=\"/7\",code=\"200\"} 1",
        "test_texts_count{type=\"aaa\",zone=\"\",path=\"/7\",code=\"200\"} 1",
        "test_limited_total{n=\"1\"} 1",
        "test_limited_total{n=\"overflow\"} 2",
        "headcount_series_overflows_total{metric=\"test_limited\"} 2",
    ]);
}

/// Bounds that make no histogram.
#[metric(registry = REGISTRY, buckets = [2.0, 1.0])]
fn impossible() -> Histogram;

/// A label that a histogram has itself.
#[metric(registry = REGISTRY)]
fn reserved(le: u8) -> Histogram;

#[test]
fn a_declaration_that_is_refused_is_a_no_op() {
    impossible().observe(1.0);
    reserved(1).observe(1.0);
    let text = REGISTRY.render();
    assert!(!text.contains("impossible") && !text.contains("reserved"), "{text}");
}
