//! The worker crate in a library that a program loads while it runs, here Python.

use std::process::Command;

use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;
use headcount_tests::{binary, text};

#[test]
fn libraries_that_a_program_loads_count_in_every_thread_and_after_a_fork() {
    let directory = tempfile::tempdir().unwrap();
    let library = binary::plugin();
    // Once more under another name: two libraries in one program know nothing of each other.
    let other = tempfile::tempdir().unwrap();
    let copy = other.path().join("another.so");
    std::fs::copy(&library, &copy).unwrap();
    let mut python = Command::new("python3");
    python.arg(binary::workspace().join("tests/python/use_plugin.py")).args([&library, &copy]);
    let output = python.env("PROMETHEUS_MULTIPROC_DIR", directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(directory.path()).unwrap()).unwrap();
    assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
    let merged = String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap();
    let value = |key: &str| text::value(&merged, key);
    // Each thread calls both libraries a thousand times; the first one three times over.
    for (who, times) in [(0, 3.0), (1, 2.0), (2, 1.0), (3, 1.0), (4, 1.0)] {
        let calls = value(&format!("plugin_calls_total{{who=\"{who}\"}}"));
        assert_eq!(calls, Some(times * 2000.0), "{merged}");
    }
    assert_eq!(value("plugin_sizes_bucket{le=\"1.0\"}"), Some(16_000.0));
    assert_eq!(value("plugin_sizes_sum"), Some(8000.0));
    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 4, "a file for each library in each process");
}
