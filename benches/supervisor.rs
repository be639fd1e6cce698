//! What a supervisor costs, beside Gunicorn running the same Python application: to start 64 workers, to replace one
//! that was killed, and to do nothing.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headcount_tests::{binary, peers, process, wait};
use nix::sys::signal::Signal;

use crate::measure::{Candidate, compare};

const WORKERS: usize = 64;
const IDLE: Duration = Duration::from_secs(5);

pub(crate) fn run() {
    let [mut ours, mut gunicorns] = [Kind::Headcount, Kind::Gunicorn].map(|kind| {
        move || {
            let started = Instant::now();
            let running = Running::start(kind, WORKERS);
            running.wait_until_booted(WORKERS);
            started.elapsed()
        }
    });
    let title = format!("start of {WORKERS} workers of the same application, until all have loaded it");
    let mut candidates =
        [Candidate::new("gunicorn", &mut gunicorns), Candidate::new("headcount run", &mut ours)];
    compare(&title, 5, 1.0, "ms", &mut candidates);

    let [gunicorn, headcount] = [Kind::Gunicorn, Kind::Headcount].map(|kind| Running::start(kind, 32));
    let (mut gunicorns, mut ours) = (gunicorn.workers(), headcount.workers());
    // Each is killed once: who dies again and again is made to wait, by us.
    let mut candidates = [
        Candidate::new("gunicorn", || gunicorn.replace(gunicorns.pop().unwrap())),
        Candidate::new("headcount run", || headcount.replace(ours.pop().unwrap())),
    ];
    compare("kill -9 of a worker until its successor is forked", 25, 1.0, "ms", &mut candidates);

    println!("\nidle, 32 workers, the process that forks");
    for (name, running) in [("gunicorn", &gunicorn), ("headcount run", &headcount)] {
        let (cpu, wakes) = running.idle();
        let private = process::private_memory(running.child.id()) / 1024;
        println!(
            "  {name:<44} {cpu:>6.2} s of CPU and {wakes} wake-ups in {IDLE:?}, {private} KiB of its own"
        );
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Gunicorn,
    Headcount,
}

/// A supervisor that runs the application.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
    workers: usize,
}

impl Running {
    fn start(kind: Kind, workers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = binary::workspace().join("benches/supervisor");
        let mut command = match kind {
            Kind::Gunicorn => gunicorn(workers),
            Kind::Headcount => headcount(workers, &sources),
        };
        command.env("BOOTED", folder.path().join("booted")).env("HOME", folder.path());
        command.env("PYTHONPATH", sources).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder.path());
        let child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let running = Self { child, folder, workers };
        running.wait_until_booted(workers);
        running
    }

    fn booted(&self) -> usize {
        std::fs::metadata(self.folder.path().join("booted"))
            .map_or(0, |found| usize::try_from(found.len()).unwrap())
    }

    fn wait_until_booted(&self, count: usize) {
        wait::until_true("the workers have loaded the application", || self.booted() >= count);
    }

    fn children(&self) -> Vec<u32> {
        process::children(self.child.id())
    }

    fn workers(&self) -> Vec<u32> {
        let is_worker = |pid: &u32| process::name(*pid).as_deref() != Some("headcount-exp");
        self.children().into_iter().filter(is_worker).collect()
    }

    /// Kills a worker, and waits for another process.
    fn replace(&self, victim: u32) -> Duration {
        let booted = self.booted();
        let before = self.children();
        let start = Instant::now();
        process::signal(victim, Signal::SIGKILL);
        // Not by the helper, which pauses.
        while self.children().iter().all(|pid| before.contains(pid)) {
            assert!(start.elapsed() < Duration::from_secs(10), "{} workers", self.workers);
        }
        let took = start.elapsed();
        self.wait_until_booted(booted + 1);
        took
    }

    /// The processor time, in seconds, and the wake-ups, while nothing happens.
    fn idle(&self) -> (f64, u64) {
        let pid = self.child.id();
        let now = || (process::cpu_seconds(pid), process::wake_ups(pid));
        let before = now();
        // What is measured is time.
        std::thread::sleep(IDLE);
        let after = now();
        (after.0 - before.0, after.1 - before.1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        process::signal(self.child.id(), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn gunicorn(workers: usize) -> Command {
    let mut command = Command::new(peers::python().with_file_name("gunicorn"));
    command.args(["--workers", &workers.to_string(), "--bind", "127.0.0.1:0", "app:app"]);
    command
}

fn headcount(workers: usize, sources: &Path) -> Command {
    let program: [PathBuf; 2] = [peers::python(), sources.join("serve.py")];
    let mut command = Command::new(binary::headcount());
    command.args(["run", "--workers", &workers.to_string(), "--bind", "127.0.0.1:0", "--metrics"]);
    command.args(["127.0.0.1:0", "--"]).args(program).env_remove("PROMETHEUS_MULTIPROC_DIR");
    command
}
