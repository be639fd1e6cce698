//! Series that processes remove: what is shown of them, whoever lives, dies, forks and is folded.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use headcount_merge::{Buckets, Folder, Foreign, Merger};
use headcount_store::directory::Directory;
use headcount_tests::text;

use crate::WORKER;

/// A process that does what it is told.
struct Obedient {
    child: Child,
    orders: ChildStdin,
    done: BufReader<ChildStdout>,
}

impl Obedient {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(WORKER);
        command.arg("obey").env("PROMETHEUS_MULTIPROC_DIR", directory);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, done) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, orders, done: BufReader::new(done) }
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        let mut done = String::new();
        self.done.read_line(&mut done).unwrap();
        assert_eq!(done.trim_end(), order);
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(directory: &Path) -> String {
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(directory).unwrap()).unwrap();
    assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
    String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap()
}

fn jobs(directory: &Path) -> Vec<(String, f64)> {
    let samples = text::samples(&text(directory)).into_iter();
    samples.filter(|(key, _)| key.starts_with("obeyed_jobs_total")).collect()
}

fn fold(directory: &Path) {
    let directory = Directory::open(directory).unwrap();
    directory.sweep().unwrap();
    while Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap().is_more {}
}

#[test]
fn a_series_is_shown_until_the_last_living_process_has_removed_it_and_comes_back_with_all_counts() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    let sample = |queue: &str, n: f64| (format!("obeyed_jobs_total{{queue=\"{queue}\"}}"), n);
    let [mut one, mut two, mut dies] = [(); 3].map(|()| Obedient::start(directory));
    for process in [&mut one, &mut two, &mut dies] {
        process.tell("add x");
        process.tell("add y");
    }
    one.tell("remove x");
    dies.tell("remove y");
    assert_eq!(jobs(directory), [sample("x", 3.0), sample("y", 3.0)]);
    two.tell("remove x");
    // Who is dead is not asked where somebody lives, folded or not.
    dies.tell("remove x");
    dies.tell("add x");
    assert_eq!(jobs(directory), [sample("x", 4.0), sample("y", 3.0)]);
    drop(dies);
    assert_eq!(jobs(directory), [sample("y", 3.0)]);
    fold(directory);
    assert_eq!(jobs(directory), [sample("y", 3.0)]);
    one.tell("add x");
    assert_eq!(jobs(directory), [sample("x", 5.0), sample("y", 3.0)]);
    one.tell("clear");
    two.tell("clear");
    assert_eq!(jobs(directory), []);
    // Of the dead, the one that was folded has it still.
    drop((one, two));
    assert_eq!(jobs(directory), [sample("x", 5.0)]);
    fold(directory);
    assert_eq!(jobs(directory), [sample("x", 5.0)]);
}

#[test]
fn what_was_removed_before_a_fork_is_removed_in_the_child_whose_idle_series_go_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(WORKER);
    let output =
        command.arg("fork-removed").env("PROMETHEUS_MULTIPROC_DIR", directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let samples = text::samples(&text(directory.path()));
    assert!(!samples.contains_key("forked_jobs_total{queue=\"gone\"}"), "{samples:?}");
    assert_eq!(samples["forked_jobs_total{queue=\"kept\"}"], 1.0);
}
