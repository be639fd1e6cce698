//! The worker program of these tests: the first argument says what it does.
#![expect(clippy::unwrap_used, reason = "a worker of a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "these workers fork only where they say so")]
#![expect(clippy::print_stdout, reason = "what was done is told to the test")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use headcount::worker::{Drain, Worker};
use headcount::{
    Buckets, Counter, Family, FloatCounter, Gauge, GaugeMode, Histogram, Info, Registry, UpDown, once,
};
use headcount_merge::{Folder, Foreign};
use headcount_store::directory::Directory;
use headcount_tests::fork::{fork, wait_for_child};
use memmap2::MmapRaw;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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

/// A listening socket of either kind.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn take(worker: &mut Worker, is_unix: bool) -> Self {
        if is_unix {
            let listener = worker.take_unix_listener("http").unwrap();
            listener.set_nonblocking(true).unwrap();
            return Self::Unix(listener);
        }
        let listener = worker.take_tcp_listener("http").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::Tcp(listener)
    }

    fn accept(&self) -> std::io::Result<File> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| OwnedFd::from(stream).into()),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| OwnedFd::from(stream).into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Answers requests with its PID: at once, or for `/sleep/MS` after so many milliseconds.
fn serve(is_unix: bool) {
    let mut worker = Worker::from_environment().unwrap();
    let listener = Listener::take(&mut worker, is_unix);
    let requests = Counter::new("test_requests", "Requests answered.").unwrap();
    let drain = ready(&worker);
    let mut answering = Vec::new();
    loop {
        match listener.accept() {
            Ok(stream) => {
                worker.count_requests(1).unwrap();
                answering.push(std::thread::spawn(move || answer(stream, requests)));
            }
            // Nobody waits. What was queued before the signal has been taken.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if drain.is_requested() {
                    break;
                }
                worker.alive().unwrap();
                wait_for(&listener, &drain, worker.watchdog());
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(listener);
    answering.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Waits for a connection, for the end, or until it is time to say something.
fn wait_for(listener: &Listener, drain: &Drain, watchdog: Option<Duration>) {
    let mut descriptors =
        [listener.as_fd(), drain.as_fd()].map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
    let timeout = watchdog.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time / 3).unwrap());
    let _ = poll(&mut descriptors, timeout);
}

fn answer(mut stream: File, requests: Counter) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(request)) = lines.next() else { return };
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
    if let Some(milliseconds) = path.strip_prefix("/sleep/") {
        std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
    }
    requests.inc();
    let body = std::process::id().to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes());
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

/// What a process has counted, in two places that survive a kill: one is written before the metric and one
/// after, so that the metric must stand between the two.
struct Truth([MmapRaw; 2]);

impl Truth {
    fn open(folder: &Path) -> Self {
        Self(["before", "after"].map(|when| {
            let path = folder.join(format!("{when}-{}", std::process::id()));
            // A PID that comes again goes on counting.
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
            file.set_len(8).unwrap();
            MmapRaw::map_raw(&file).unwrap()
        }))
    }

    fn around(&self, update: impl FnOnce()) {
        let [before, after] = &self.0;
        increment(before);
        update();
        increment(after);
    }
}

#[expect(unsafe_code, reason = "the truth must survive a kill, as the counter does")]
fn increment(cell: &MmapRaw) {
    // SAFETY: the mapping is eight bytes long, aligned to a page, and written by this thread alone.
    let cell = unsafe { &*cell.as_mut_ptr().cast::<AtomicU64>() };
    cell.fetch_add(1, Ordering::SeqCst);
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
fn fork_and_count() {
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
fn recycle(children: u32) {
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
fn fork_amid_threads() {
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
fn fork_and_exec() {
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

/// Removes a series, and has a forked child show that it is removed there, too, and that idle ones go there by
/// themselves.
fn fork_removed() {
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
fn fork_exemplars() {
    let jobs = Counter::new("exemplary_jobs", "Jobs.").unwrap();
    jobs.inc_with_exemplar([("of", "parent")]);
    wait_for_child(fork(|| jobs.inc()));
    wait_for_child(fork(|| jobs.inc_with_exemplar([("of", "child")])));
}
