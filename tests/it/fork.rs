//! Metrics across `fork`: every process counts into a file of its own, exactly.

use std::path::Path;
use std::process::Command;

use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;
use headcount_store::format::exemplar::ExemplarLabels;
use headcount_store::read::Image;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{text, wait};

use crate::WORKER;

fn run(mode: &str, directory: &Path) -> String {
    let mut command = Command::new(WORKER);
    let output = command.arg(mode).env("PROMETHEUS_MULTIPROC_DIR", directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(directory).unwrap()).unwrap();
    assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
    String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap()
}

#[test]
fn parents_children_and_grandchildren_with_threads_that_come_and_go_count_exactly() {
    let directory = tempfile::tempdir().unwrap();
    let merged = run("fork", directory.path());
    let value = |key: &str| text::value(&merged, key);
    // Two rounds of the parent and of each of three children, one of each of three grandchildren.
    let (parent, child, grandchild) = (2.0, 6.0, 3.0);
    let adds = 32_000.0;
    let rounds = parent + child + grandchild;
    assert_eq!(value("fork_adds_total"), Some(rounds * adds));
    assert_eq!(value("fork_seconds_total"), Some(rounds * adds / 2.0));
    assert_eq!(value("fork_sizes_bucket{le=\"2.0\"}"), Some(rounds * adds / 2.0));
    assert_eq!(value("fork_sizes_count"), Some(rounds * adds));
    assert_eq!(value("fork_sizes_sum"), Some(rounds * adds * 2.0));
    assert_eq!(value("fork_labelled_total{who=\"parent\"}"), Some(parent * adds));
    assert_eq!(value("fork_labelled_total{who=\"child\"}"), Some(child * adds));
    assert_eq!(value("fork_labelled_total{who=\"grandchild\"}"), Some(grandchild * adds));
    assert_eq!(value("fork_once_total"), Some(rounds * adds));
    assert_eq!(value("fork_open"), Some(rounds * adds));
    // Children have what was said before the fork, and who of them started last says it.
    assert_eq!(value("fork_info{version=\"1\"}"), Some(1.0));
    assert_eq!(value("fork_processes"), Some(rounds));
    assert_eq!(value("fork_late_total"), Some(33.0));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 7, "a file for each process");
}

#[test]
fn a_fork_amid_threads_that_count_and_create_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let merged = run("fork-amid-threads", directory.path());
    assert_eq!(text::value(&merged, "amid_adds_total"), Some(100_000.0));
    let samples = text::samples(&merged);
    let children = samples.iter().filter(|(key, value)| key.contains("child-") && **value == 1.0);
    assert_eq!(children.count(), 100);
    // The parent's threads counted each of theirs once; what children inherited of it is zero.
    let parents = samples.iter().filter(|(key, _)| key.starts_with("amid_series_total{n=\""));
    assert!(parents.filter(|(key, _)| !key.contains("child-")).all(|(_, value)| *value <= 1.0));
}

/// An exemplar that a child had inherited would be shown as the child's, too, and written over in its parent's file.
#[test]
fn a_child_has_exemplars_of_its_own_and_none_at_first() {
    let directory = tempfile::tempdir().unwrap();
    let merged = run("fork-exemplars", directory.path());
    assert_eq!(text::value(&merged, "exemplary_jobs_total"), Some(3.0));
    let exemplars = |entry: std::io::Result<std::fs::DirEntry>| {
        let image = Image::read(&std::fs::File::open(entry.unwrap().path()).unwrap()).unwrap();
        let labels = |of: &ExemplarLabels| {
            of.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
        };
        image.cells().exemplars().map(|exemplar| labels(&exemplar.labels)).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(exemplars).collect();
    all.sort_unstable();
    assert_eq!(all, [vec![], vec!["of=child".to_owned()], vec!["of=parent".to_owned()]]);
}

#[test]
fn a_child_that_only_executes_another_program_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(1, directory.path(), &[], &[WORKER, "fork-and-exec"]);
    // The twenty that have ended, and the one that sleeps: nobody else's child, but nobody's file either.
    wait::until_true("all have been started", || headcount.value("exec_started_total") == Some(21.0));
    wait::until_true("only the master's and the worker's files are left", || {
        let _ = headcount.scrape();
        let mut names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.all(|name| name == "headcount.lock" || !name.to_str().unwrap().starts_with("dead-"))
            && std::fs::read_dir(directory.path()).unwrap().count() == 3
    });
    assert_eq!(headcount.value("exec_started_total"), Some(21.0));
    assert_eq!(headcount.value("test_alive"), Some(1.0));
}
