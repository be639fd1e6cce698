//! Series that begin, and series that processes remove: what is shown of them, whoever lives, dies, forks and is
//! folded.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use headcount_merge::{Buckets, Folder, Foreign, Merger};
use headcount_store::directory::Directory;
use headcount_tests::prometheus::Prometheus;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, peers, text, wait};

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

/// What Python's parser reads of the OpenMetrics that `dump` writes, with the samples that say since when.
fn read_with_python(directory: &Path) -> serde_json::Value {
    let exposition = tempfile::NamedTempFile::new().unwrap();
    let mut dump = Command::new(binary::headcount());
    dump.arg("dump").arg(directory).args(["--format", "openmetrics", "--created-samples"]);
    assert!(dump.stdout(exposition.reopen().unwrap()).status().unwrap().success());
    let script = binary::workspace().join("tests/python/read_created.py");
    let output = Command::new(peers::python()).arg(script).arg(exposition.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn python_reads_units_and_since_when_series_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Obedient::start(directory.path());
    let before = now();
    process.tell("add x");
    process.tell("work 0.5");
    let read = read_with_python(directory.path());
    let (jobs, work) = (&read["obeyed_jobs"], &read["obeyed_work_seconds"]);
    assert_eq!((&jobs["type"], &jobs["unit"]), (&"counter".into(), &"".into()), "{read}");
    assert_eq!((&work["type"], &work["unit"]), (&"histogram".into(), &"seconds".into()), "{read}");
    assert_eq!(jobs["created"][0][0], serde_json::json!({"queue": "x"}), "{read}");
    // The clock that a worker asks may be some milliseconds behind.
    for created in [jobs, work].map(|family| family["created"][0][1].as_f64().unwrap()) {
        assert!(before - 1.0 < created && created <= now(), "{before} {read}");
    }
}

/// Without the zero, what is counted before the first scrape is in no rate and no increase.
#[test]
fn prometheus_begins_series_with_a_zero_at_their_created_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Obedient::start(directory.path());
    process.tell("add x");
    process.tell("work 0.5");
    let read = read_with_python(directory.path());
    let created = |family: &str| read[family]["created"][0][1].as_f64().unwrap();
    let path = directory.path().to_str().unwrap();
    let listen = ["--dir", path, "--web.listen-address", "127.0.0.1:0", "--created-samples"];
    let headcount = Headcount::start([&["serve"], &listen[..]].concat());
    for (suite, program) in peers::newer_prometheuses() {
        // The older one takes it from protobuf only.
        let openmetrics = "    scrape_protocols: [OpenMetricsText1.0.0]\n";
        let ways = if suite == "sid" { &["", openmetrics][..] } else { &[""] };
        for way in ways {
            let config = Prometheus::config(&headcount.metrics(), way);
            let flags = ["--enable-feature=created-timestamp-zero-ingestion"];
            let prometheus = Prometheus::start_program(&program, &config, &flags);
            let series = ["obeyed_jobs_total", "obeyed_work_seconds_count"];
            for (name, family) in series.into_iter().zip(["obeyed_jobs", "obeyed_work_seconds"]) {
                let range = format!("{name}[1h]");
                let samples = wait::until(format!("{suite} {way}: two scrapes of {name}"), || {
                    Some(prometheus.samples(&range)).filter(|samples| samples.len() >= 3)
                });
                let values: Vec<_> = samples.iter().map(|&(_, value)| value).collect();
                assert_eq!(values[..3], [0.0, 1.0, 1.0], "{suite} {way}: {name}: one zero, and no more");
                let began = samples[0].0;
                assert!((began - created(family)).abs() < 0.002, "{suite} {way}: {name}: {began} {read}");
            }
        }
    }
}
