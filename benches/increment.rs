//! What an update costs: floors, ourselves and `prometheus`. Whoever has more peers adds them.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use headcount::labels::{LabelValue, Labels, Value, product};
use headcount::{Buckets, GaugeMode, Registry};

use crate::inputs::{Names, UPDATES, repeat, repeat_in_two, turn, value};
use crate::measure::{Candidate, compare, time};

const ROUNDS: usize = 51;
/// More than one line, so that no line's latency hides another's.
const SERIES: usize = 16;
static NO_NAMES: Names = Names::none();
/// Children that are created at a time.
const NEW: usize = 1000;

/// What is compared.
pub(crate) enum Table {
    Add,
    AddInTwo,
    AddInTurn,
    Set,
    Observe,
    Labels,
    LabelsInTwo,
}

/// More candidates for a table; the names are those of its labels.
pub(crate) type More = for<'a> fn(Table, &'a Names) -> Vec<Candidate<'a>>;

pub(crate) fn run(more: More) {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    counters(registry, more);
    gauge(registry, more);
    histogram(registry, more);
    for series in [100, 10_000] {
        labels(registry, &Names::new(series), series, more);
    }
    numbered_labels(registry);
    create(registry);
}

fn table<'a>(title: &str, more: Vec<Candidate<'a>>, mut candidates: Vec<Candidate<'a>>) {
    candidates.extend(more);
    compare(title, ROUNDS, UPDATES as f64, "ns", &mut candidates);
}

fn plain_add(cell: &AtomicU64) {
    let cell = black_box(cell);
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// A cell, alone on its line.
#[derive(Default)]
#[repr(align(128))]
struct Floor(AtomicU64);

fn counters(registry: Registry, more: More) {
    let ours = registry.counter("ours", "").unwrap();
    let float = registry.float_counter("ours_float", "").unwrap();
    let theirs = prometheus::IntCounter::new("theirs", "theirs").unwrap();
    let theirs = &theirs;
    let theirs_float = prometheus::Counter::new("theirs_float", "theirs").unwrap();
    let floor = Floor::default();
    table(
        "counter add, kept handle, 1 thread",
        more(Table::Add, &NO_NAMES),
        vec![
            Candidate::new("floor: plain load, add, store", || repeat(|_| plain_add(&floor.0))),
            Candidate::new("headcount::Counter", move || repeat(|_| black_box(ours).inc())),
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
            Candidate::new("prometheus::IntCounter", || repeat(|_| black_box(theirs).inc())),
            Candidate::new("prometheus::Counter (f64)", || repeat(|_| black_box(&theirs_float).inc())),
        ],
    );
    thread_local!(static OWN: Cell<u64> = const { Cell::new(0) });
    table(
        "counter add, kept handle, 2 threads on one series",
        more(Table::AddInTwo, &NO_NAMES),
        vec![
            Candidate::new("floor: a thread-local each", || {
                repeat_in_two(|_| OWN.with(|own| black_box(own).set(own.get() + 1)))
            }),
            Candidate::new("headcount::Counter", move || repeat_in_two(|_| black_box(ours).inc())),
            Candidate::new("prometheus::IntCounter", || repeat_in_two(|_| black_box(theirs).inc())),
        ],
    );
    let many: Vec<_> = (0..SERIES).map(|n| registry.counter(&format!("many{n}"), "").unwrap()).collect();
    let floors: Vec<AtomicU64> = (0..SERIES).map(|_| AtomicU64::new(0)).collect();
    let name = |n| prometheus::IntCounter::new(format!("many{n}"), "theirs").unwrap();
    let theirs: Vec<_> = (0..SERIES).map(name).collect();
    table(
        "counter add, 16 series in turn",
        more(Table::AddInTurn, &NO_NAMES),
        vec![
            Candidate::new("floor: plain load, add, store", || repeat(|n| plain_add(turn(&floors, n)))),
            Candidate::new("headcount::Counter", || repeat(|n| turn(black_box(&many), n).inc())),
            Candidate::new("prometheus::IntCounter", || repeat(|n| turn(black_box(&theirs), n).inc())),
        ],
    );
}

fn gauge(registry: Registry, more: More) {
    let ours = registry.gauge("ours_gauge", "", GaugeMode::LiveSum).unwrap();
    let theirs = prometheus::Gauge::new("theirs", "theirs").unwrap();
    let floor = Floor::default();
    table(
        "gauge set",
        more(Table::Set, &NO_NAMES),
        vec![
            Candidate::new("floor: plain store", || {
                repeat(|n| black_box(&floor.0).store(n, Ordering::Relaxed))
            }),
            Candidate::new("headcount::Gauge", move || repeat(|n| black_box(ours).set(f64::from_bits(n)))),
            Candidate::new("prometheus::Gauge", || repeat(|n| black_box(&theirs).set(f64::from_bits(n)))),
        ],
    );
}

fn histogram(registry: Registry, more: More) {
    let bounds = Buckets::default();
    let options = prometheus::HistogramOpts::new("theirs", "theirs").buckets(bounds.bounds().to_vec());
    let theirs = prometheus::Histogram::with_opts(options).unwrap();
    let ours = registry.histogram("ours_seconds", "", bounds).unwrap();
    let floors = [Floor::default(), Floor::default()];
    table(
        "histogram observe, 14 bounds, spread values",
        more(Table::Observe, &NO_NAMES),
        vec![
            Candidate::new("floor: two plain read-modify-writes", || {
                repeat(|n| {
                    plain_add(&floors[0].0);
                    let sum = black_box(&floors[1].0);
                    let new = f64::from_bits(sum.load(Ordering::Relaxed)) + value(n);
                    sum.store(new.to_bits(), Ordering::Relaxed);
                })
            }),
            Candidate::new("headcount::Histogram", move || repeat(|n| black_box(ours).observe(value(n)))),
            Candidate::new("headcount::LocalHistogram", move || {
                let mut local = ours.local();
                repeat(|n| black_box(&mut local).observe(value(n)))
            }),
            Candidate::new("prometheus::Histogram", || repeat(|n| black_box(&theirs).observe(value(n)))),
        ],
    );
}

fn labels(registry: Registry, names: &Names, series: usize, more: More) {
    let labels = ["method", "route", "code"];
    let ours = registry.counter_family(&format!("ours_labelled_{series}"), "", labels).unwrap();
    let opts = prometheus::Opts::new("theirs", "theirs");
    let theirs = prometheus::IntCounterVec::new(opts, &labels).unwrap();
    let theirs = &theirs;
    table(
        &format!("counter add, three labels looked up, {series} series"),
        more(Table::Labels, names),
        vec![
            Candidate::new("prometheus::IntCounterVec", move || {
                repeat(|n| theirs.with_label_values(&names.get(n)).inc())
            }),
            Candidate::new("headcount::Family, &str", move || repeat(|n| ours.with(names.get(n)).inc())),
            Candidate::new("headcount::Family, literals", move || {
                repeat(|n| ours.with_literals(names.get(n)).inc())
            }),
        ],
    );
    table(
        &format!("the same, {series} series, 2 threads"),
        more(Table::LabelsInTwo, names),
        vec![
            Candidate::new("prometheus::IntCounterVec", move || {
                repeat_in_two(|n| theirs.with_label_values(&names.get(n)).inc())
            }),
            Candidate::new("headcount::Family, &str", move || {
                repeat_in_two(|n| ours.with(names.get(n)).inc())
            }),
            Candidate::new("headcount::Family, literals", move || {
                repeat_in_two(|n| ours.with_literals(names.get(n)).inc())
            }),
        ],
    );
}

/// One of five.
#[derive(Clone, Copy)]
struct Five(usize);

impl LabelValue for Five {
    const COUNT: Option<usize> = Some(5);

    fn index(&self) -> usize {
        self.0
    }

    fn value(&self) -> Value<'_> {
        Value::Variant(self.0, ["a", "b", "c", "d", "e"][self.0])
    }
}

struct Three([Five; 3]);

impl Labels for Three {
    const COUNT: Option<usize> = product(&[Five::COUNT, Five::COUNT, Five::COUNT]);

    fn names(prefix: &str, names: &mut Vec<String>) {
        names.extend(["a", "b", "c"].map(|name| format!("{prefix}{name}")));
    }

    fn index(&self) -> usize {
        self.0.iter().fold(0, |number, value| number * 5 + value.0)
    }

    fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>)) {
        self.0.iter().for_each(|value| visit(value.value()));
    }
}

fn numbered_labels(registry: Registry) {
    let ours = registry.labelled_counter::<Three>("ours_numbered", "").unwrap();
    let floors: Vec<AtomicU64> = (0..125).map(|_| AtomicU64::new(0)).collect();
    let digit = |n: u64| Five(usize::try_from(n % 5).unwrap());
    let labels: Vec<Three> =
        (0..125).map(|n: u64| n * 37).map(|n| Three([digit(n), digit(n / 5), digit(n / 25)])).collect();
    compare(
        "counter add, three enums looked up, 125 series",
        ROUNDS,
        UPDATES as f64,
        "ns",
        &mut [
            Candidate::new("floor: number, then plain load, add, store", || {
                repeat(|n| plain_add(&floors[turn(&labels, n).index()]))
            }),
            Candidate::new("headcount::Labelled", || repeat(|n| ours.get(turn(&labels, n)).inc())),
        ],
    );
}

fn create(registry: Registry) {
    let (mut ours, mut theirs) = (0, 0);
    let texts = |from: usize| (from..from + NEW).map(|n| format!("/route/{n}")).collect::<Vec<_>>();
    let family = registry.counter_family("ours_created", "", ["route"]).unwrap();
    let vec = prometheus::IntCounterVec::new(prometheus::Opts::new("theirs", "theirs"), &["route"]).unwrap();
    compare(
        "creating a labelled child, and its first add",
        ROUNDS,
        NEW as f64,
        "ns",
        &mut [
            Candidate::new("headcount::Family", || {
                let texts = texts(ours);
                ours += NEW;
                time(|| texts.iter().for_each(|text| family.with([text]).inc()))
            }),
            Candidate::new("prometheus::IntCounterVec", || {
                let texts = texts(theirs);
                theirs += NEW;
                time(|| texts.iter().for_each(|text| vec.with_label_values(&[text]).inc()))
            }),
        ],
    );
}
