//! One file of a directory, of whatever kind and with whatever in it: every format of the merge is valid, before it is
//! folded and after.
#![no_main]
#![allow(missing_docs, reason = "a program without an interface")]

#[path = "../crates/headcount-merge/tests/all/every_format.rs"]
mod every_format;

use std::fs;
use std::time::Duration;

use headcount_merge::{Folder, Foreign, Merger};
use headcount_store::directory::Directory;
use libfuzzer_sys::fuzz_target;

/// The first byte says which it is.
const NAMES: [&str; 8] = [
    "dead-0.hc",
    "1-0000000000000001.hc",
    "archive-1.hc",
    "counter_1.db",
    "histogram_1.db",
    "summary_1.db",
    "gauge_all_1.db",
    "gauge_mostrecent_1-0.db",
];

fuzz_target!(|input: &[u8]| {
    let Some((name, bytes)) = input.split_first() else { return };
    let directory = tempfile::tempdir().expect("a folder");
    let name = NAMES[usize::from(*name) % NAMES.len()];
    fs::write(directory.path().join(name), bytes).expect("a file");
    let directory = Directory::open(directory.path()).expect("the folder");
    let mut merger = Merger::default();
    every_format::check(&merger.merge(&directory).expect("a merge"));
    // What cannot be read is left where it is.
    let _ = Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).expect("a fold");
    every_format::check(&merger.merge(&directory).expect("another merge"));
});
