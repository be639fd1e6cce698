//! Directories with files of Headcount's own format that say whatever a worker could: of the living, of the dead, and of
//! archives.

use std::fs::{self, File};
use std::path::Path;

use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::any_file::{Of, any_file};

/// Writes some files. Those of the living are locked for as long as what this returns is held.
pub(crate) fn write(directory: &Path, runner: &mut TestRunner) -> Vec<File> {
    let processes = (vec(any_file(Of::Process), 1..4), vec(any_file(Of::Process), 0..3));
    let ((living, dead), archives) =
        (processes, vec(any_file(Of::Archive), 0..2)).new_tree(runner).unwrap().current();
    let files = |names: &str, files: Vec<Vec<u8>>| {
        let write = |(at, bytes): (usize, Vec<u8>)| {
            let path = directory.join(names.replace('#', &at.to_string()));
            fs::write(&path, bytes).unwrap();
            path
        };
        files.into_iter().enumerate().map(write).collect::<Vec<_>>()
    };
    files("dead-#.hc", dead);
    files("archive-10#.hc", archives);
    let living = files("4#-00000000000000a#.hc", living);
    let lock = |path| {
        let file = File::open(path).unwrap();
        file.lock().unwrap();
        file
    };
    living.into_iter().map(lock).collect()
}
