//! What merging a directory costs: 16 workers with 10,000 entries each, half of them histogram entries,
//! a quarter counters, a quarter `livesum` gauges; the same series in each worker. And what the dead cost.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use headcount::{Buckets as Bounds, GaugeMode, Registry};
use headcount_merge::{Buckets, Folder, Foreign, Merger};
use headcount_store::directory::Directory;
use headcount_tests::peers;

use crate::floor::Floor;
use crate::measure::{Candidate, compare, time};

const WORKERS: usize = 16;
const ENTRIES: usize = 10_000;
const ROUNDS: usize = 15;

/// Entries of a histogram: 14 bounds, +Inf and the sum.
const PER_HISTOGRAM: usize = 16;

pub(crate) fn run() {
    let (pythons, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut python = Python::start(pythons.path());
    // Alive, so that their gauges count.
    for worker in 0..WORKERS {
        write_own(own.path(), worker, ENTRIES);
    }
    let text = |merger: &mut Merger, directory: &Directory| {
        merger.merge(directory).unwrap().to_text(Buckets::Cumulative)
    };
    let lines = |path: &Path| {
        let text = text(&mut Merger::default(), &Directory::open(path).unwrap());
        text.split(|&byte| byte == b'\n').count() - 1
    };
    assert_eq!(lines(pythons.path()), python.lines, "both merges have as many lines");
    assert_eq!(lines(own.path()), python.lines, "both directories hold the same series");
    let first = |path: &Path| {
        let directory = Directory::open(path).unwrap();
        move || time(|| assert!(!text(&mut Merger::default(), &directory).is_empty()))
    };
    let later = |path: &Path| {
        let directory = Directory::open(path).unwrap();
        let mut merger = Merger::default();
        move || time(|| assert!(!text(&mut merger, &directory).is_empty()))
    };
    let title = format!("merge of {WORKERS} workers x {ENTRIES} entries to text");
    compare(
        &title,
        ROUNDS,
        1.0,
        "ms",
        &mut [
            Candidate::new("Python's client on its own files", || python.scrape()),
            Candidate::new("headcount on Python's files, first merge", first(pythons.path())),
            Candidate::new("headcount on Python's files, later ones", later(pythons.path())),
            Candidate::new("headcount on its own files, first merge", first(own.path())),
            Candidate::new("headcount on its own files, later ones", later(own.path())),
        ],
    );
    for (name, path) in [("its own", own.path()), ("Python's", pythons.path())] {
        let mut floor = Floor::of(path);
        compare(
            &format!("the same, {name} files"),
            ROUNDS * 10,
            1.0,
            "ms",
            &mut [
                Candidate::new("floor: read, add, copy and format", || {
                    time(|| assert!(!floor.scrape().is_empty()))
                }),
                Candidate::new("headcount, later merges", later(path)),
            ],
        );
    }
    run_dead();
}

/// Eight workers with 1,000 entries each, and the same beside a thousand that have died.
fn run_dead() {
    let (alone, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for worker in 0..8 {
        write_own(alone.path(), worker, 1000);
        write_own(beside.path(), worker, 1000);
    }
    let living = std::fs::read_dir(alone.path()).unwrap().next().unwrap().unwrap().path();
    for number in 0..1000 {
        std::fs::copy(&living, beside.path().join(format!("dead-{number}.hc"))).unwrap();
    }
    let merge = |directory: &Path| {
        let directory = Directory::open(directory).unwrap();
        let mut merger = Merger::default();
        move || time(|| assert!(!merger.merge(&directory).unwrap().to_text(Buckets::Cumulative).is_empty()))
    };
    let unfolded = {
        let mut merge = merge(beside.path());
        (0..3).map(|_| merge()).min().unwrap()
    };
    let (mut folder, directory) = (Folder::new(Foreign::Fold), Directory::open(beside.path()).unwrap());
    let folding = time(|| while folder.step(&directory, 1, Duration::from_millis(50)).unwrap().is_more {});
    println!("\nfolding 1,000 dead workers' files took {folding:?}; before, a merge took {unfolded:?}");
    compare(
        "merge of 8 workers x 1,000 entries to text",
        ROUNDS * 10,
        1.0,
        "ms",
        &mut [
            Candidate::new("without dead workers", merge(alone.path())),
            Candidate::new("beside 1,000 dead workers, folded", merge(beside.path())),
        ],
    );
}

fn write_own(directory: &Path, worker: usize, entries: usize) {
    let registry = Registry::in_directory(directory).unwrap();
    let labels =
        |n: usize| [format!("Controller{}", n % 97), format!("/api/v1/resource/{n}"), "200".to_owned()];
    let names = ["controller", "path", "status"];
    let value = |n: usize| ((n * 7 + worker) % 1000) as u64;
    let histograms = registry.histogram_family("bench_seconds", "Bench.", Bounds::default(), names).unwrap();
    for n in 0..entries / 2 / PER_HISTOGRAM {
        let labels = labels(n);
        histograms.with(labels.each_ref().map(String::as_str)).observe(value(n) as f64 / 100.0);
    }
    let gauges = registry.gauge_family("bench_gauge", "Bench.", GaugeMode::LiveSum, names).unwrap();
    let counters = registry.counter_family("bench_counter", "Bench.", names).unwrap();
    for n in 0..entries / 4 {
        let labels = labels(n);
        let labels = labels.each_ref().map(String::as_str);
        gauges.with(labels).set(value(n) as f64 + 0.5);
        counters.with(labels).add(value(n));
    }
}

/// The peer: a process that writes the same, and merges whenever it is told to.
struct Python {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Lines of its exposition.
    lines: usize,
}

const SCRIPT: &str = r#"
import os, sys, time
WORKERS, ENTRIES, PER_HISTOGRAM = map(int, sys.argv[1:])
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
HISTOGRAMS = ENTRIES // 2 // PER_HISTOGRAM
NAMES = ["controller", "path", "status"]
labels = lambda n: (f"Controller{n % 97}", f"/api/v1/resource/{n}", "200")
for worker in range(WORKERS):
    pid = os.fork()
    if pid == 0:
        value = lambda n: (n * 7 + worker) % 1000
        h = Histogram("bench_seconds", "Bench.", NAMES)
        g = Gauge("bench_gauge", "Bench.", NAMES, multiprocess_mode="livesum")
        c = Counter("bench_counter", "Bench.", NAMES)
        for n in range(HISTOGRAMS):
            h.labels(*labels(n)).observe(value(n) / 100)
        for n in range(ENTRIES // 4):
            g.labels(*labels(n)).set(value(n) + 0.5)
            c.labels(*labels(n)).inc(value(n))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).count(b"\n"), flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    generate_latest(registry)
    print(time.perf_counter() - start, flush=True)
"#;

impl Python {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(peers::python())
            .args(["-c", SCRIPT])
            .args([WORKERS, ENTRIES, PER_HISTOGRAM].map(|number| number.to_string()))
            .env("PROMETHEUS_MULTIPROC_DIR", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut python = Self { child, commands, answers, lines: 0 };
        python.lines = python.answer().parse().unwrap();
        python
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn scrape(&mut self) -> Duration {
        writeln!(self.commands).unwrap();
        Duration::from_secs_f64(self.answer().parse().unwrap())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
