//! Metrics without labels, by handles that are kept.

use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headcount::{Buckets, Counter, GaugeMode, NativeBuckets};

use super::row::Target::{self, AboveFloor, AtMost, FasterThan, OfBestPeer, OfFloor, OfOneThread};
use super::{Bench, Work};
use crate::inputs::{Threads, repeat, turn, values};
use crate::measure::Candidate;

/// More than one line, so that no line's latency hides another's.
const SERIES: usize = 16;

pub(crate) fn run(bench: &mut Bench<'_>) {
    counter(bench);
    counters_in_turn(bench);
    counters_amid_misses(bench);
    gauge(bench);
    histogram(bench);
    native(bench);
}

/// A cell, alone on its line.
#[derive(Default)]
#[repr(align(128))]
struct Floor(AtomicU64);

#[inline]
pub(crate) fn plain_add(cell: &AtomicU64) {
    let cell = black_box(cell);
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

const TWO: &str = "floor: two plain read-modify-writes";

/// The least that it takes to count a value and to sum it up.
#[inline]
fn plain_observe([count, sum]: &[Floor; 2], value: f64) {
    plain_add(&count.0);
    let sum = black_box(&sum.0);
    let new = f64::from_bits(sum.load(Ordering::Relaxed)) + value;
    sum.store(new.to_bits(), Ordering::Relaxed);
}

fn counter(bench: &mut Bench<'_>) {
    let registry = bench.registry;
    let ours = registry.counter("ours", "").unwrap();
    let float = registry.float_counter("ours_float", "").unwrap();
    let theirs = &prometheus::IntCounter::new("theirs", "theirs").unwrap();
    let theirs_float = prometheus::Counter::new("theirs_float", "theirs").unwrap();
    let floor = Floor::default();
    let add = move || repeat(|_| black_box(ours).inc());
    let mut candidates = vec![
        Candidate::floor("floor: plain load, add, store", || repeat(|_| plain_add(&floor.0))),
        Candidate::ours("headcount::Counter", add),
        Candidate::new("headcount::LocalCounter, flushed after 64", || {
            let mut local = ours.local();
            repeat(|n| {
                black_box(&mut local).inc();
                if n % 64 == 0 {
                    local.flush();
                }
            })
        }),
        Candidate::new("headcount::FloatCounter", move || repeat(|_| black_box(float).add(1.0))),
        Candidate::peer("prometheus", || repeat(|_| black_box(theirs).inc())),
        Candidate::new("prometheus, f64", || repeat(|_| black_box(&theirs_float).inc())),
    ];
    candidates.extend(bench.reader.beside(add));
    let targets = [OfFloor(1.2), FasterThan("prometheus", 2.5)];
    bench.row("counter add, kept handle", Work::Add(Threads::One), &targets, candidates);

    thread_local!(static OWN: Floor = const { Floor(AtomicU64::new(0)) });
    let own = |_| OWN.with(|own| plain_add(&own.0));
    let inc = move |_| black_box(ours).inc();
    let add = move || Threads::Two.repeat(inc);
    let mut candidates = vec![
        Candidate::floor("floor: a cell for each", move || Threads::Two.repeat(own)),
        Candidate::new("floor, one thread", move || repeat(own)),
        Candidate::ours("headcount::Counter", add),
        Candidate::new("one thread", move || repeat(inc)),
        Candidate::peer("prometheus", || Threads::Two.repeat(|_| black_box(theirs).inc())),
    ];
    candidates.extend(bench.reader.beside(add));
    let targets = [FasterThan("prometheus", 10.0), OfOneThread(1.3)];
    bench.row("the same, 2 threads on one series", Work::Add(Threads::Two), &targets, candidates);
}

fn counters_in_turn(bench: &mut Bench<'_>) {
    let registry = bench.registry;
    let ours: [Counter; SERIES] = std::array::from_fn(|n| registry.counter(&format!("many{n}"), "").unwrap());
    let floors: [AtomicU64; SERIES] = std::array::from_fn(|_| AtomicU64::new(0));
    let theirs: [_; SERIES] =
        std::array::from_fn(|n| prometheus::IntCounter::new(format!("many{n}"), "theirs").unwrap());
    let add = || repeat(|n| turn(black_box(&ours), n).inc());
    let mut candidates = vec![
        Candidate::floor("floor: plain load, add, store", || repeat(|n| plain_add(turn(&floors, n)))),
        Candidate::ours("headcount::Counter", add),
        Candidate::peer("prometheus", || repeat(|n| turn(black_box(&theirs), n).inc())),
    ];
    candidates.extend(bench.reader.beside(add));
    bench.row("16 series in turn", Work::AddInTurn, &[FASTER_THAN_ALL], candidates);
}

const FASTER_THAN_ALL: Target = OfBestPeer(1.0);

/// Work of which every store misses the first cache, as that of programs does that do something. One for all: where its
/// memory happens to be makes a difference.
static WORK: LazyLock<Box<[AtomicU64; 1 << 16]>> = LazyLock::new(|| {
    let all: Box<[AtomicU64]> = (0..1 << 16).map(|_| AtomicU64::new(0)).collect();
    all.try_into().unwrap()
});

/// So many series that their memory does not stay in the first cache amid that work, either.
pub(crate) const MANY: usize = 256;

/// Repeats an update of series in turn, amid that work. Handles come from memory, and are not put there anew: stores are what
/// there are too few of.
pub(crate) fn amid_misses<T, R, const LEN: usize>(metrics: &[T; LEN], add: impl Fn(&T) -> R) -> Duration {
    let (work, metrics) = (&**WORK, black_box(metrics));
    repeat(|n| {
        for store in n * 4..n * 4 + 4 {
            turn(work, store.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).store(n, Ordering::Relaxed);
        }
        black_box(());
        add(turn(metrics, n))
    })
}

fn counters_amid_misses(bench: &mut Bench<'_>) {
    few_or_many::<1>(bench, "work that misses the cache, and an add", Work::AddAmidMisses);
    few_or_many::<MANY>(bench, "the same, 256 series in turn", Work::AddInTurnAmidMisses);
}

fn few_or_many<const LEN: usize>(bench: &mut Bench<'_>, operation: &str, work: Work<'static>) {
    let registry = bench.registry;
    let ours: [Counter; LEN] =
        std::array::from_fn(|n| registry.counter(&format!("amid{LEN}_misses{n}"), "").unwrap());
    let theirs: [_; LEN] =
        std::array::from_fn(|n| prometheus::IntCounter::new(format!("theirs{n}"), "theirs").unwrap());
    let cells: [AtomicU64; LEN] = std::array::from_fn(|_| AtomicU64::new(0));
    let add = move || amid_misses(&ours, Counter::inc);
    let mut candidates = vec![
        Candidate::new("the work alone", || amid_misses(&[()], |()| ())),
        Candidate::floor("floor: the work, and a plain load, add, store", move || {
            amid_misses(&cells, |cell| cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed))
        }),
        Candidate::ours("headcount::Counter", add),
        Candidate::peer("prometheus", move || amid_misses(&theirs, |theirs| theirs.inc())),
    ];
    candidates.extend(bench.reader.beside(add));
    bench.row(operation, work, &[FASTER_THAN_ALL], candidates);
}

fn gauge(bench: &mut Bench<'_>) {
    let ours = bench.registry.gauge("ours_gauge", "", GaugeMode::LiveSum).unwrap();
    let theirs = prometheus::Gauge::new("theirs", "theirs").unwrap();
    let floor = Floor::default();
    let set = move || repeat(|n| black_box(ours).set(f64::from_bits(n)));
    let mut candidates = vec![
        Candidate::floor("floor: plain store", || {
            repeat(|n| black_box(&floor.0).store(n, Ordering::Relaxed))
        }),
        Candidate::ours("headcount::Gauge", set),
        Candidate::peer("prometheus", || repeat(|n| black_box(&theirs).set(f64::from_bits(n)))),
    ];
    candidates.extend(bench.reader.beside(set));
    bench.row("gauge set", Work::Set, &[AboveFloor(0.5)], candidates);
}

fn histogram(bench: &mut Bench<'_>) {
    let bounds = Buckets::default();
    let options = prometheus::HistogramOpts::new("theirs", "theirs").buckets(bounds.bounds().to_vec());
    let theirs = prometheus::Histogram::with_opts(options).unwrap();
    let ours = bench.registry.histogram("ours_seconds", "", bounds).unwrap();
    let floors = [Floor::default(), Floor::default()];
    let values = values();
    let observe = move || repeat(|n| black_box(ours).observe(*turn(values, n)));
    let mut candidates = vec![
        Candidate::floor(TWO, || repeat(|n| plain_observe(&floors, *turn(values, n)))),
        Candidate::ours("headcount::Histogram", observe),
        Candidate::new("headcount::LocalHistogram", move || {
            let mut local = ours.local();
            repeat(|n| black_box(&mut local).observe(*turn(values, n)))
        }),
        Candidate::peer("prometheus", || repeat(|n| black_box(&theirs).observe(*turn(values, n)))),
    ];
    candidates.extend(bench.reader.beside(observe));
    let targets = [OfFloor(1.6), FasterThan("prometheus", 5.0)];
    bench.row("histogram observe, 14 bounds, random values", Work::Observe, &targets, candidates);
}

/// Every bucket that is observed has a place from the first round on.
fn native(bench: &mut Bench<'_>) {
    let ours = bench.registry.native_histogram("ours_native_seconds", "", NativeBuckets::default()).unwrap();
    let floors = [Floor::default(), Floor::default()];
    let values = values();
    let observe = move || repeat(|n| black_box(ours).observe(*turn(values, n)));
    let mut candidates = vec![
        Candidate::floor(TWO, || repeat(|n| plain_observe(&floors, *turn(values, n)))),
        Candidate::ours("headcount::NativeHistogram", observe),
        Candidate::new("headcount::LocalNativeHistogram", move || {
            let mut local = ours.local();
            repeat(|n| black_box(&mut local).observe(*turn(values, n)))
        }),
    ];
    candidates.extend(bench.reader.beside(observe));
    let operation = "native histogram observe, random values";
    bench.row(operation, Work::ObserveNative, &[AtMost(12.0)], candidates);
}
