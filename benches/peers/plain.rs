//! The peers' metrics without labels, by handles that are kept.

use std::hint::black_box;
use std::sync::OnceLock;

use axum_prometheus::AXUM_HTTP_REQUESTS_DURATION_SECONDS;
use axum_prometheus::utils::SECONDS_DURATION_BUCKETS;
use foundations_metrics as foundations;
use measured::metric::histogram::Thresholds;
use metrics_exporter_prometheus::{
    Matcher, NativeHistogramConfig, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use prometheus_client::metrics as client;

use crate::increment::amid_misses;
use crate::inputs::{Threads, repeat, turn, values};
use crate::measure::Candidate;

const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

pub(crate) type ClientCounter = client::counter::Counter;
pub(crate) type FastCounter = fastmetrics::metrics::counter::Counter;
pub(crate) type Local = foundations::ThreadLocalCounter;

/// It has to be told now and then to look at what was observed, or keeps all of it.
static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Buckets that nobody chose grow by no more than this, as ours do.
const FACTOR: f64 = 1.1;
const NATIVE: &str = "theirs_native_seconds";

pub(crate) fn recorder() -> PrometheusRecorder {
    let native = NativeHistogramConfig::new(FACTOR, 160, 1e-128).unwrap();
    let matcher = Matcher::Full(NATIVE.to_owned());
    let requests = Matcher::Full(AXUM_HTTP_REQUESTS_DURATION_SECONDS.to_owned());
    let builder = PrometheusBuilder::new().set_native_histogram_for_metric(matcher, native);
    // As `PrometheusMetricLayer::pair` has it, which cannot be asked for a recorder that others use, too.
    let builder = builder.set_buckets_for_metric(requests, SECONDS_DURATION_BUCKETS).unwrap();
    builder.build_recorder()
}

pub(crate) fn keep_exporter(handle: PrometheusHandle) {
    EXPORTER.set(handle).unwrap_or_default();
}

/// Has it look at what was observed.
pub(crate) fn run_upkeep() {
    EXPORTER.get().unwrap().run_upkeep();
}

pub(crate) fn add(threads: Threads) -> Vec<Candidate<'static>> {
    let (client, fast, local) = (ClientCounter::default(), FastCounter::default(), Local::default());
    let (measured, handle) = (measured::Counter::new(), metrics::counter!("theirs"));
    vec![
        Candidate::peer("prometheus-client", move || threads.repeat(|_| black_box(&client).inc())),
        Candidate::peer("metrics", move || threads.repeat(|_| black_box(&handle).increment(1))),
        Candidate::peer("measured", move || threads.repeat(|_| black_box(&measured).inc())),
        Candidate::peer("fastmetrics", move || threads.repeat(|_| black_box(&fast).inc())),
        Candidate::peer("foundations-metrics", move || threads.repeat(|_| black_box(&local).inc())),
    ]
}

/// Sixteen of each.
pub(crate) fn add_in_turn() -> Vec<Candidate<'static>> {
    fn all<T>(new: impl Fn() -> T) -> [T; 16] {
        std::array::from_fn(|_| new())
    }
    let (client, fast, local) = (all(ClientCounter::default), all(FastCounter::default), all(Local::default));
    let measured = all(measured::Counter::new);
    let numbers: [usize; 16] = std::array::from_fn(|n| n);
    let handles = numbers.map(|n| metrics::counter!("many", "n" => n.to_string()));
    vec![
        Candidate::peer("prometheus-client", move || repeat(|n| turn(black_box(&client), n).inc())),
        Candidate::peer("metrics", move || repeat(|n| turn(black_box(&handles), n).increment(1))),
        Candidate::peer("measured", move || repeat(|n| turn(black_box(&measured), n).inc())),
        Candidate::peer("fastmetrics", move || repeat(|n| turn(black_box(&fast), n).inc())),
        Candidate::peer("foundations-metrics", move || repeat(|n| turn(black_box(&local), n).inc())),
    ]
}

/// So many of each.
pub(crate) fn add_amid_misses<const LEN: usize>() -> Vec<Candidate<'static>> {
    fn amid<T: 'static, R, const LEN: usize>(
        name: &'static str,
        new: impl Fn(usize) -> T,
        add: impl Fn(&T) -> R + 'static,
    ) -> Candidate<'static> {
        let metrics: [T; LEN] = std::array::from_fn(new);
        Candidate::peer(name, move || amid_misses(&metrics, &add))
    }
    let handle = |n: usize| metrics::counter!("amid", "n" => n.to_string());
    vec![
        amid::<_, _, LEN>("prometheus-client", |_| ClientCounter::default(), |client| client.inc()),
        amid::<_, _, LEN>("metrics", handle, |handle| handle.increment(1)),
        amid::<_, _, LEN>("measured", |_| measured::Counter::new(), |measured| measured.inc()),
        amid::<_, _, LEN>("fastmetrics", |_| FastCounter::default(), |fast| fast.inc()),
        amid::<_, _, LEN>("foundations-metrics", |_| Local::default(), |local| local.inc()),
    ]
}

pub(crate) fn set() -> Vec<Candidate<'static>> {
    type Bits = std::sync::atomic::AtomicU64;
    let client = client::gauge::Gauge::<f64, Bits>::default();
    let fast = fastmetrics::metrics::gauge::Gauge::<f64>::default();
    let foundations = foundations::Gauge::<f64>::default();
    let (measured, handle) = (measured::FloatGauge::new(), metrics::gauge!("theirs_gauge"));
    let value = f64::from_bits;
    vec![
        Candidate::peer("prometheus-client", move || repeat(|n| black_box(&client).set(value(n)))),
        Candidate::peer("metrics", move || repeat(|n| black_box(&handle).set(value(n)))),
        Candidate::peer("measured", move || repeat(|n| black_box(&measured).get_metric().set(value(n)))),
        Candidate::peer("fastmetrics", move || repeat(|n| black_box(&fast).set(value(n)))),
        Candidate::peer("foundations-metrics", move || repeat(|n| black_box(&foundations).set(value(n)))),
    ]
}

pub(crate) fn observe() -> Vec<Candidate<'static>> {
    let client = client::histogram::Histogram::new(BOUNDS);
    let fast = fastmetrics::metrics::histogram::Histogram::new(BOUNDS);
    let foundations = foundations::Histogram::new(BOUNDS);
    let measured = measured::Histogram::with_metadata(Thresholds::with_buckets(BOUNDS));
    let handle = metrics::histogram!("theirs_seconds");
    let values = values();
    vec![
        Candidate::peer("prometheus-client", move || {
            repeat(|n| black_box(&client).observe(*turn(values, n)))
        }),
        Candidate::peer("metrics", move || {
            let took = repeat(|n| black_box(&handle).record(*turn(values, n)));
            run_upkeep();
            took
        }),
        Candidate::peer("measured", move || {
            repeat(|n| black_box(&measured).get_metric().observe(*turn(values, n)))
        }),
        Candidate::peer("fastmetrics", move || repeat(|n| black_box(&fast).observe(*turn(values, n)))),
        Candidate::peer("foundations-metrics", move || {
            repeat(|n| black_box(&foundations).observe(*turn(values, n)))
        }),
    ]
}

pub(crate) fn observe_native() -> Vec<Candidate<'static>> {
    let client =
        client::histogram::Histogram::new_native(client::histogram::NativeHistogramConfig::new(FACTOR));
    let foundations = foundations::NativeHistogram::new(FACTOR);
    let handle = metrics::histogram!(NATIVE);
    let values = values();
    vec![
        Candidate::peer("prometheus-client", move || {
            repeat(|n| black_box(&client).observe(*turn(values, n)))
        }),
        Candidate::peer("metrics", move || {
            let took = repeat(|n| black_box(&handle).record(*turn(values, n)));
            run_upkeep();
            took
        }),
        Candidate::peer("foundations-metrics", move || {
            repeat(|n| black_box(&foundations).observe(*turn(values, n)))
        }),
    ]
}
