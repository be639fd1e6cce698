//! Processes that fork: whole, amid threads, to execute something else, many times.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use headcount::worker::Worker;
use headcount::{Buckets, Counter, Family, FloatCounter, Gauge, GaugeMode, Histogram, Info, UpDown, once};
use headcount_tests::fork::{fork, wait_for_child};

use crate::ready;

/// What every process of a family of forks counts, with threads that come and go.
struct Counted {
    counter: Counter,
    seconds: FloatCounter,
    sizes: Histogram,
    by_label: Family<Counter, 1>,
    alive: Gauge,
    open: UpDown,
}

const THREADS: u32 = 32;
const ADDS: u32 = 1000;

impl Counted {
    fn new() -> Self {
        Self {
            counter: Counter::new("fork_adds", "Adds.").unwrap(),
            seconds: FloatCounter::new("fork_seconds", "Halves.").unwrap(),
            sizes: Histogram::new("fork_sizes", "Ones and threes.", Buckets::new([2.0]).unwrap()).unwrap(),
            by_label: Counter::family("fork_labelled", "By who counts.", ["who"]).unwrap(),
            alive: Gauge::new("fork_processes", "Processes.", GaugeMode::Sum).unwrap(),
            open: UpDown::new("fork_open", "What stays open.", GaugeMode::Sum).unwrap(),
        }
    }

    fn count(&self, who: &str) {
        self.alive.inc();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for n in 0..ADDS {
                        self.counter.inc();
                        self.seconds.add(0.5);
                        self.sizes.observe(if n % 2 == 0 { 1.0 } else { 3.0 });
                        self.by_label.with([who]).inc();
                        self.open.add(if n % 2 == 0 { 3.0 } else { -1.0 });
                        once!(Counter: Counter::new("fork_once", "Looked up once.").unwrap()).inc();
                    }
                });
            }
        });
    }
}

/// Metrics made before the fork are counted on by parent, children and a grandchild, each with threads
/// before and after.
pub(crate) fn fork_and_count() {
    let counted = Counted::new();
    Info::new("fork", "What forks.", [("version", "1")]).unwrap().hold();
    counted.count("parent");
    let children: Vec<_> = (0..3)
        .map(|n| {
            fork(|| {
                counted.count("child");
                let late = Counter::new("fork_late", "Made after the fork.").unwrap();
                late.add(n);
                let grandchild = fork(|| {
                    late.add(10);
                    counted.count("grandchild");
                });
                counted.count("child");
                wait_for_child(grandchild);
            })
        })
        .collect();
    counted.count("parent");
    children.into_iter().for_each(wait_for_child);
}

/// Lets so many children live one after the other, each of which counts, observes and dies.
pub(crate) fn recycle(children: u32) {
    let worker = Worker::from_environment().unwrap();
    let lives = Counter::new("week_lives", "Lives.").unwrap();
    let seconds = FloatCounter::new("week_seconds", "Tenths, which no float is.").unwrap();
    let sizes = Histogram::new("week_sizes", "Sizes.", Buckets::new([0.25, 1.0]).unwrap()).unwrap();
    let last = Gauge::new("week_last", "What each has set last.", GaugeMode::All).unwrap();
    let greatest = Gauge::new("week_greatest", "The greatest of all.", GaugeMode::Max).unwrap();
    let drain = ready(&worker);
    let directory = std::env::var_os("PROMETHEUS_MULTIPROC_DIR").unwrap();
    for n in 0..children {
        wait_for_child(fork(|| {
            lives.inc();
            seconds.add(0.1);
            sizes.observe(f64::from(n % 20) * 0.1);
            last.set(n.into());
            greatest.set(n.into());
        }));
        // A week is long: there is time to fold. Without folding, this would never end.
        while std::fs::read_dir(&directory).unwrap().count() > 400 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    drain.wait();
}

/// Forks while other threads count and create series: the child finds nothing half done.
pub(crate) fn fork_amid_threads() {
    let counter = Counter::new("amid_adds", "Adds.").unwrap();
    let family = Counter::family("amid_series", "Series.", ["n"]).unwrap().limited_to(u32::MAX);
    let (forks, done) = (&AtomicU32::new(0), 100);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let mut n = 0;
                while forks.load(Ordering::Relaxed) < done {
                    // Never far ahead: each child copies the descriptions of all.
                    if n < 20 * (forks.load(Ordering::Relaxed) + 1) {
                        family.with([&format!("{thread}-{n}")]).inc();
                        n += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        for n in 0..done {
            wait_for_child(fork(|| {
                (0..1000).for_each(|_| counter.inc());
                family.with([&format!("child-{n}")]).inc();
            }));
            forks.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Starts programs, in the way that runs fork handlers, and waits for a line before it ends.
#[expect(unsafe_code, reason = "a hook makes std fork and exec instead of spawning")]
pub(crate) fn fork_and_exec() {
    use std::os::unix::process::CommandExt;
    let worker = Worker::from_environment().unwrap();
    let counter = Counter::new("exec_started", "Programs started.").unwrap();
    let drain = ready(&worker);
    let start = |program: &str, argument: &str| {
        let mut command = std::process::Command::new(program);
        command.arg(argument);
        // SAFETY: the hook does nothing.
        unsafe { command.pre_exec(|| Ok(())) };
        counter.inc();
        command.spawn().unwrap()
    };
    (0..20).for_each(|_| assert!(start("true", "").wait().unwrap().success()));
    let mut sleeping = start("sleep", "1000");
    drain.wait();
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();
}

/// Removes a series, and has a forked child show that it is removed there, too, and that idle ones go there by
/// themselves.
pub(crate) fn fork_removed() {
    let jobs = Counter::family("forked_jobs", "Jobs.", ["queue"]).unwrap();
    let idle = Duration::from_millis(40);
    let visits = Counter::family("forked_visits", "Visits.", ["who"]).unwrap().expire_after(idle);
    visits.with(["parent"]).inc();
    ["gone", "kept"].iter().for_each(|queue| jobs.with([queue]).inc());
    jobs.remove(["gone"]);
    let child = fork(|| {
        assert!(!headcount::render().contains("gone"), "{}", headcount::render());
        visits.with(["child"]).inc();
        let start = std::time::Instant::now();
        while headcount::render().contains("forked_visits_total{") {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", headcount::render());
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    wait_for_child(child);
}

/// Keeps an exemplar, and lets a child count beside it without one, and another with one of its own.
pub(crate) fn fork_exemplars() {
    let jobs = Counter::new("exemplary_jobs", "Jobs.").unwrap();
    jobs.inc_with_exemplar([("of", "parent")]);
    wait_for_child(fork(|| jobs.inc()));
    wait_for_child(fork(|| jobs.inc_with_exemplar([("of", "child")])));
}
