//! The worker program of these tests: the first argument says what it does.
#![expect(clippy::unwrap_used, reason = "a worker of a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "these workers fork only where they say so")]
#![expect(clippy::print_stdout, reason = "what was done is told to the test")]

mod forks;
mod serve;
mod truth;

use std::path::Path;
use std::time::Duration;

use headcount::worker::{Drain, Worker};
use headcount::{Buckets, Counter, Gauge, GaugeMode, Registry};
use headcount_merge::{Folder, Foreign};
use headcount_store::directory::Directory;
use headcount_tests::fork::{fork, wait_for_child};

use crate::forks::{fork_amid_threads, fork_and_count, fork_and_exec, fork_exemplars, fork_removed, recycle};
use crate::serve::serve;
use crate::truth::Truth;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments[1].as_str() {
        "serve" => serve(arguments.get(2).is_some_and(|kind| kind == "unix")),
        "count" => count(Path::new(&arguments[2])),
        "once" => once(Path::new(&arguments[2])),
        "hold" => hold(arguments[2].parse().unwrap()),
        "add" => add(arguments[2].parse().unwrap()),
        "stubborn" => stubborn(),
        "boot" => boot(arguments[2].parse().unwrap()),
        "orphans" => orphans(arguments[2].parse().unwrap()),
        "exit" => exit(arguments[2].parse().unwrap()),
        "fill" => fill(),
        "fold" => fold(Path::new(&arguments[2])),
        "fork" => fork_and_count(),
        "recycle" => recycle(arguments[2].parse().unwrap()),
        "fork-amid-threads" => fork_amid_threads(),
        "fork-and-exec" => fork_and_exec(),
        "obey" => obey(),
        "fork-removed" => fork_removed(),
        "fork-exemplars" => fork_exemplars(),
        unknown => panic!("no such thing to do: {unknown}"),
    }
}

/// Says that it serves, and gives what tells when to stop.
fn ready(worker: &Worker) -> Drain {
    let drain = worker.drain().unwrap();
    let alive = Gauge::new("test_alive", "Living workers.", GaugeMode::LiveSum).unwrap();
    alive.set(1.0);
    worker.ready().unwrap();
    drain
}

/// Counts as fast as it can until it is killed.
fn count(truth: &Path) {
    let worker = Worker::from_environment().unwrap();
    let counter = Counter::new("test_counted", "Counted.").unwrap();
    let truth = Truth::open(truth);
    let drain = ready(&worker);
    while !drain.is_requested() {
        truth.around(|| counter.inc());
    }
}

/// Serves for a moment, counts one, and ends well.
fn once(truth: &Path) {
    let worker = Worker::from_environment().unwrap();
    let counter = Counter::new("test_counted", "Counted.").unwrap();
    ready(&worker);
    Truth::open(truth).around(|| counter.inc());
}

/// Adds so much, shows it in gauges, and holds on until it is killed.
fn hold(n: u32) {
    let worker = Worker::from_environment().unwrap();
    Counter::new("test_held", "Held.").unwrap().add(n.into());
    Gauge::new("test_each", "Each process's own.", GaugeMode::All).unwrap().set(n.into());
    let _drain = ready(&worker);
    loop {
        std::thread::park();
    }
}

/// Adds so much, shows a live gauge, and ends.
fn add(n: u64) {
    Counter::new("test_added", "Added.").unwrap().add(n);
    Gauge::new("test_alive", "Living workers.", GaugeMode::LiveSum).unwrap().set(1.0);
    println!("{}", std::process::id());
}

/// Does not listen to SIGTERM.
fn stubborn() {
    let worker = Worker::from_environment().unwrap();
    let _drain = ready(&worker);
    loop {
        std::thread::park();
    }
}

/// Takes so many milliseconds before it can be told anything, and serves nothing.
fn boot(milliseconds: u64) {
    let worker = Worker::from_environment().unwrap();
    std::thread::sleep(Duration::from_millis(milliseconds));
    ready(&worker).wait();
}

/// Leaves so many processes behind, which end with code 3 when their parent is gone, and then serves.
fn orphans(count: u32) {
    for _ in 0..count {
        wait_for_child(fork(|| {
            let parent = nix::unistd::getpid();
            fork(|| {
                while nix::unistd::getppid() == parent {
                    std::thread::yield_now();
                }
                exit(3);
            });
        }));
    }
    serve(false);
}

fn exit(code: u8) {
    #[expect(clippy::exit, reason = "this is what it is for")]
    std::process::exit(code.into());
}

/// Creates series until there is no space, then counts on in what it has and tells how it went.
fn fill() {
    let family = Counter::family("test_filled", "Filled.", ["n"]).unwrap().limited_to(u32::MAX);
    let padding = "x".repeat(200);
    let mut created = 0_u32;
    let refusal = loop {
        match family.try_with([&format!("{padding}{created}")]) {
            Ok(counter) => counter.inc(),
            Err(error) => break error,
        }
        created += 1;
    };
    // What could not be created works and is counted as lost; so does a thread that gets no slab.
    family.with([&format!("{padding}refused")]).inc();
    let first = family.with([&format!("{padding}0")]);
    std::thread::spawn(move || (0..10).for_each(|_| first.inc())).join().unwrap();
    first.inc();
    println!("{created} {refusal}");
}

/// Folds what is in a directory, as its owner would.
fn fold(directory: &Path) {
    let directory = Directory::open(directory).unwrap();
    let mut folder = Folder::new(Foreign::Fold);
    while folder.step(&directory, 1, Duration::ZERO).unwrap().is_more {}
}

/// Does what it is told, a line at a time, and says so each time: `add` or `remove` with a queue's name, or `clear`.
fn obey() {
    let jobs = Counter::family("obeyed_jobs", "Jobs.", ["queue"]).unwrap();
    let registry = Registry::global().unwrap().with_unit("seconds");
    let work = registry.histogram("obeyed_work", "Work.", Buckets::default()).unwrap();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("add", queue)) => jobs.with([queue]).inc(),
            Some(("work", seconds)) => work.observe(seconds.parse().unwrap()),
            Some(("remove", queue)) => assert!(jobs.remove([queue])),
            _ => jobs.clear(),
        }
        println!("{line}");
    }
}
