//! What an update costs.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headcount::{Buckets, GaugeMode, Registry};

use crate::measure::{Candidate, compare, time};

const UPDATES: u64 = 200_000;
const ROUNDS: usize = 101;
/// More than one line, so that no line's latency hides another's.
const SERIES: usize = 16;

fn repeat(mut update: impl FnMut(u64)) -> Duration {
    time(|| (0..UPDATES).for_each(&mut update))
}

/// Two threads at once; the slower one counts.
fn repeat_in_two(update: impl Fn(u64) + Sync) -> Duration {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| repeat(&update))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    })
}

fn plain_add(cell: &AtomicU64) {
    let cell = black_box(cell);
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

pub(crate) fn run() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let ours = registry.counter("ours", "").unwrap();
    let ours_float = registry.float_counter("ours_float", "").unwrap();
    let theirs = prometheus::IntCounter::new("theirs", "theirs").unwrap();
    let theirs_float = prometheus::Counter::new("theirs_float", "theirs").unwrap();
    let floor = AtomicU64::new(0);
    let units = UPDATES as f64;
    compare(
        "counter add, kept handle, 1 thread",
        ROUNDS,
        units,
        "ns",
        &mut [
            Candidate::new("floor: plain load, add, store", || repeat(|_| plain_add(&floor))),
            Candidate::new("headcount::Counter", || repeat(|_| black_box(ours).inc())),
            Candidate::new("headcount::FloatCounter", || repeat(|_| black_box(ours_float).add(1.0))),
            Candidate::new("prometheus::IntCounter", || repeat(|_| black_box(&theirs).inc())),
            Candidate::new("prometheus::Counter (f64)", || repeat(|_| black_box(&theirs_float).inc())),
        ],
    );
    compare(
        "counter add, kept handle, 2 threads on one series",
        ROUNDS,
        units,
        "ns",
        &mut [
            Candidate::new("headcount::Counter", || repeat_in_two(|_| black_box(ours).inc())),
            Candidate::new("prometheus::IntCounter", || repeat_in_two(|_| black_box(&theirs).inc())),
        ],
    );

    let many: Vec<_> = (0..SERIES).map(|n| registry.counter(&format!("many{n}"), "").unwrap()).collect();
    let floors: Vec<_> = (0..SERIES).map(|_| AtomicU64::new(0)).collect();
    let theirs: Vec<_> =
        (0..SERIES).map(|n| prometheus::IntCounter::new(format!("many{n}"), "theirs").unwrap()).collect();
    let turn = |n: u64| usize::try_from(n).unwrap() % SERIES;
    compare(
        "counter add, 16 series in turn",
        ROUNDS,
        units,
        "ns",
        &mut [
            Candidate::new("floor: plain load, add, store", || repeat(|n| plain_add(&floors[turn(n)]))),
            Candidate::new("headcount::Counter", || repeat(|n| black_box(&many)[turn(n)].inc())),
            Candidate::new("prometheus::IntCounter", || repeat(|n| black_box(&theirs)[turn(n)].inc())),
        ],
    );

    let bounds = Buckets::default();
    let options = prometheus::HistogramOpts::new("theirs", "theirs").buckets(bounds.bounds().to_vec());
    let theirs = prometheus::Histogram::with_opts(options).unwrap();
    let ours = registry.histogram("ours_seconds", "", bounds).unwrap();
    let values: Vec<f64> = (0..1024_u64)
        .map(|n| {
            let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            0.001 * 1.6_f64.powf(random as f64 / f64::from(1 << 24) * 20.0)
        })
        .collect();
    let value = |n: u64| values[usize::try_from(n).unwrap() % values.len()];
    compare(
        "histogram observe, 14 bounds, spread values",
        ROUNDS,
        units,
        "ns",
        &mut [
            Candidate::new("floor: two plain read-modify-writes", || {
                repeat(|n| {
                    plain_add(&floors[0]);
                    let sum = black_box(&floors[1]);
                    let new = f64::from_bits(sum.load(Ordering::Relaxed)) + value(n);
                    sum.store(new.to_bits(), Ordering::Relaxed);
                })
            }),
            Candidate::new("headcount::Histogram", || repeat(|n| black_box(ours).observe(value(n)))),
            Candidate::new("prometheus::Histogram", || repeat(|n| black_box(&theirs).observe(value(n)))),
        ],
    );

    let ours = registry.gauge("ours_gauge", "", GaugeMode::LiveSum).unwrap();
    let theirs = prometheus::Gauge::new("theirs", "theirs").unwrap();
    compare(
        "gauge set",
        ROUNDS,
        units,
        "ns",
        &mut [
            Candidate::new("floor: plain store", || {
                repeat(|n| black_box(&floor).store(n, Ordering::Relaxed))
            }),
            Candidate::new("headcount::Gauge", || repeat(|n| black_box(ours).set(f64::from_bits(n)))),
            Candidate::new("prometheus::Gauge", || repeat(|n| black_box(&theirs).set(f64::from_bits(n)))),
        ],
    );

    let names: Vec<[String; 3]> = (0..100)
        .map(|n| [format!("m{}", n % 4), format!("/route/{n}"), format!("{}", 200 + n % 3)])
        .collect();
    let ours = registry.counter_family("ours_labelled", "", ["method", "route", "code"]).unwrap();
    let opts = prometheus::Opts::new("theirs", "theirs");
    let theirs = prometheus::IntCounterVec::new(opts, &["method", "route", "code"]).unwrap();
    let labels = |n: u64| {
        let [method, route, code] = &names[usize::try_from(n.wrapping_mul(31)).unwrap() % names.len()];
        [method.as_str(), route, code]
    };
    compare(
        "counter add, three labels looked up, 100 series",
        ROUNDS,
        units,
        "ns",
        &mut [
            Candidate::new("prometheus::IntCounterVec", || {
                repeat(|n| theirs.with_label_values(&labels(n)).inc())
            }),
            Candidate::new("headcount::Family<Counter, 3>", || repeat(|n| ours.with(labels(n)).inc())),
        ],
    );
}
