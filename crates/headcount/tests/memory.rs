//! What metrics allocate: nothing in an update that is not the first, and little for a series; and how many exemplars
//! are kept.
//!
//! One test alone in its program, because it counts what the whole process allocates.
#![expect(unsafe_code, reason = "an allocator is unsafe to be")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use headcount::exemplar::EXEMPLAR_LIMIT;
use headcount::{
    Buckets, Counter, Exemplar, GaugeMode, Histogram, Labels, Literal, NativeBuckets, Registry, metric, timed,
};
use headcount_store::read::Image;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Labels)]
struct Request<'a> {
    cached: bool,
    code: u16,
    route: &'a str,
}

/// Numbered.
#[derive(Labels)]
struct Numbered {
    cached: bool,
    retried: Option<bool>,
}

/// Words and numbers.
#[derive(Labels)]
struct Words {
    word: Literal,
    code: u16,
}

/// Timed.
#[metric]
fn timed_seconds() -> Histogram;

/// Work that is timed.
#[timed(timed_seconds())]
fn work() {}

/// Declared.
#[metric]
fn declared(known: bool, #[label(flatten)] request: Request<'_>) -> Counter;

#[test]
fn only_new_series_allocate_and_they_are_small() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let counter = registry.counter("counter", "").unwrap();
    let float = registry.float_counter("float", "").unwrap();
    let gauge = registry.gauge("gauge", "", GaugeMode::LiveSum).unwrap();
    let recent = registry.gauge("recent", "", GaugeMode::MostRecent).unwrap();
    let histogram = registry.histogram("histogram", "", Buckets::default()).unwrap();
    let summary = registry.summary("summary", "").unwrap();
    let family = registry.counter_family("family", "", ["method", "route"]).unwrap();
    let labelled = registry.labelled_histogram::<Request>("labelled", "", Buckets::default()).unwrap();
    let limited = registry.counter_family("limited", "", ["route"]).unwrap().limited_to(0);
    let numbered = registry.labelled_gauge::<Numbered>("numbered", "", GaugeMode::Sum).unwrap();
    let words = registry.labelled_float_counter::<Words>("words", "").unwrap();
    let dynamic = registry.dynamic_summary("dynamic", "", &["a", "b"]).unwrap();
    let sizes = registry.gauge_histogram("sizes", "", Buckets::default()).unwrap();
    let level = registry.up_down("level", "", GaugeMode::LiveSum).unwrap();
    let states = registry.state_set("states", "", ["on", "off"]).unwrap();
    let native = registry.native_histogram("native", "", NativeBuckets::default()).unwrap();
    let natives =
        registry.native_histogram_family("natives", "", NativeBuckets::default(), ["route"]).unwrap();
    let mut local = histogram.local();
    let mut local_native = native.local();
    let mut local_counter = counter.local();
    let long = "/a/route/that/is/too/long/for/two/words".to_owned();
    let mut update = || {
        counter.inc();
        float.add(0.5);
        gauge.inc();
        recent.set(1.0);
        histogram.observe(0.3);
        histogram.start_timer().observe_duration();
        histogram.observe_with_exemplar(0.3, [("id", &long)]);
        counter.inc_with_exemplar(Exemplar::of_trace(1, 2));
        summary.observe(1.0);
        local.observe(0.2);
        family.with(["GET", &long]).inc();
        family.with_literals(["GET", "/"]).inc();
        limited.with([&long]).inc();
        labelled.get(&Request { cached: true, code: 200, route: &long }).observe(0.1);
        declared(true, Request { cached: true, code: 200, route: &long }).inc();
        numbered.get(&Numbered { cached: true, retried: None }).set(1.0);
        words.get(&Words { word: Literal("word"), code: 200 }).add(0.5);
        dynamic.with(&[&long, "b"]).observe(1.0);
        sizes.inc(1.0);
        sizes.dec(1.0);
        sizes.set([1.0, 2.0]);
        level.inc();
        drop(level.in_flight());
        drop(gauge.in_flight());
        states.set("on");
        states.disable("off");
        local_counter.inc();
        local_counter.flush();
        local.flush();
        histogram.observe_n(0.3, 2);
        histogram.add_counts(&[1, 2], 1.0);
        histogram.observe_duration(std::time::Duration::from_millis(1));
        histogram.time(|| ());
        summary.start_timer().observe_duration();
        work();
        for value in [0.0, 0.3, -0.3, 1e9, f64::INFINITY, f64::NAN] {
            native.observe(value);
            native.observe_n(value, 3);
            natives.with([&long]).observe(value);
            local_native.observe(value);
        }
        native.time(|| ());
        native.start_timer().observe_duration();
        local_native.flush();
    };
    update();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..100).for_each(|_| update());
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);

    // The description is in the file, and a child's entry and its place in the index in memory.
    const SERIES: usize = 10_000;
    let names: Vec<String> = (0..SERIES).map(|n| format!("/route/{n}")).collect();
    let before = [&BYTES, &ALLOCATIONS].map(|count| count.load(Ordering::Relaxed));
    names.iter().for_each(|name| family.with(["GET", name]).inc());
    let each = (BYTES.load(Ordering::Relaxed) - before[0]) / SERIES;
    assert!(each <= 256, "{each} bytes for each of {SERIES} series");
    // What grows does so at once for many; a child has nothing of its own.
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before[1];
    assert!(allocations < 150, "{allocations} allocations for {SERIES} series");

    // Two have exemplars already.
    for name in &names {
        family.with(["GET", name]).inc_with_exemplar(Exemplar::of_trace(1, 2));
    }
    counter.inc_with_exemplar([("bad-name", "")]);
    let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
    let image = Image::read(&std::fs::File::open(file.path()).unwrap()).unwrap();
    let kept = image.cells().exemplars().count() as u64;
    assert_eq!(kept, u64::from(EXEMPLAR_LIMIT));
    assert_eq!(image.header().lost_exemplars, SERIES as u64 + 2 - kept + 1);
}
