//! Functions that declare metrics.

use headcount::{
    Buckets, Counter, FloatCounter, Gauge, GaugeHistogram, GaugeMode, Histogram, Info, LabelValue, Labels,
    Registry, StateSet, Summary, UpDown, metric,
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

/// A gauge of differences.
#[metric(registry = REGISTRY)]
fn up_down() -> UpDown;

/// A gauge of differences that keeps those of the dead.
#[metric(registry = REGISTRY, mode = GaugeMode::Sum)]
fn kept() -> UpDown;

/// A gauge histogram.
#[metric(registry = REGISTRY, buckets = [1.0])]
fn gauge_histogram() -> GaugeHistogram;

/// An info.
#[metric(registry = REGISTRY)]
fn build(version: &str) -> Info;

#[derive(LabelValue)]
enum Phase {
    Begun,
    WellDone,
}

/// States of an enum.
#[metric(registry = REGISTRY)]
fn phase(task: u8) -> StateSet<Phase>;

/// States by name.
#[metric(registry = REGISTRY, states = ["on", "off"])]
fn switch() -> StateSet;

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
    up_down().inc();
    kept().add(-2.0);
    gauge_histogram().set([1.0, 2.0]);
    build("1.0").hold();
    phase(7).set(&Phase::WellDone);
    phase(8).enable(&Phase::Begun);
    switch().set("off");
    assert_shown(&[
        "test_up_down 1",
        "test_kept -2",
        "test_gauge_histogram_bucket{le=\"1.0\"} 1",
        "test_gauge_histogram_gcount 2",
        "test_build_info{version=\"1.0\"} 1",
        "test_phase{task=\"7\",test_phase=\"begun\"} 0",
        "test_phase{task=\"7\",test_phase=\"well_done\"} 1",
        "test_switch{test_switch=\"off\"} 1",
    ]);
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

/// How long work takes.
#[metric(unit = "seconds", expire_after = std::time::Duration::from_secs(3600))]
fn declared_work(kind: &str) -> FloatCounter;

#[test]
fn a_metric_is_declared_with_its_unit_and_when_its_series_expire() {
    declared_work("cooking").add(0.5);
    let text = headcount::render();
    assert!(text.contains("declared_work_seconds_total{kind=\"cooking\"} 0.5\n"), "{text}");
}

/// Removed by label, or all.
#[metric(registry = REGISTRY, removable)]
fn removable(#[label(rename = "type")] kind: &str, #[label(flatten)] route: Route<'_>) -> Counter;

#[test]
fn series_of_a_declared_metric_are_removed() {
    let route = |path: &'static str| Route { zone: None, path: path.into() };
    let shown = || {
        let text = REGISTRY.render();
        let lines = text.lines().filter(|line| line.starts_with("test_removable_total{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for path in ["/a", "/b", "/c"] {
        removable("x", route(path)).inc();
    }
    assert!(removable::remove("x", route("/a")));
    assert!(!removable::remove("x", route("/a")), "it is gone already");
    assert!(!removable::remove("y", route("/b")), "there never was one");
    assert_eq!(shown().len(), 2);
    removable::clear();
    assert!(shown().is_empty());
    removable("x", route("/a")).inc();
    assert_eq!(shown(), ["test_removable_total{type=\"x\",zone=\"\",path=\"/a\"} 2"], "it counts on");
}

/// Does not compile if there are warnings of what is not used, or of names.
#[deny(unused, nonstandard_style)]
mod declared_elsewhere {
    use headcount::{Counter, metric};

    #[derive(headcount::LabelValue)]
    pub(crate) enum Size {
        Large,
    }

    /// Parcels.
    #[metric(removable)]
    pub(crate) fn parcels(size: Size) -> Counter;

    /// Not there.
    #[metric(removable)]
    #[cfg(any())]
    pub(crate) fn letters(size: Size) -> Counter;
}

#[test]
fn what_removes_comes_along_with_the_function_and_knows_local_types() {
    use declared_elsewhere::{Size, parcels};
    parcels(Size::Large).inc();
    assert!(parcels::remove(Size::Large));

    #[derive(LabelValue)]
    enum Local {
        Here,
    }
    /// Declared in a function.
    #[metric(removable)]
    fn local(at: Local) -> Counter;
    local(Local::Here).inc();
    local::clear();
    let text = headcount::render();
    assert!(!text.contains("parcels_total{") && !text.contains("local_total{"), "{text}");
}
