//! What metrics allocate: nothing in an update that is not the first, and little for a series; and how many exemplars
//! are kept.
//!
//! One test alone in its program, because it counts what the whole process allocates.
#![expect(unsafe_code, reason = "an allocator is unsafe to be")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use headcount::exemplar::EXEMPLAR_LIMIT;
use headcount::{Buckets, Counter, Exemplar, GaugeMode, Labels, Registry, metric};
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
    let mut local = histogram.local();
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
    };
    update();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..100).for_each(|_| update());
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);

    // The description is in the file, and a child's entry and its place in the index in memory.
    const SERIES: usize = 10_000;
    let names: Vec<String> = (0..SERIES).map(|n| format!("/route/{n}")).collect();
    let before = BYTES.load(Ordering::Relaxed);
    names.iter().for_each(|name| family.with(["GET", name]).inc());
    let each = (BYTES.load(Ordering::Relaxed) - before) / SERIES;
    assert!(each <= 256, "{each} bytes for each of {SERIES} series");

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
