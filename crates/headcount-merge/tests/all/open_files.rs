//! Files that stay open and mapped from gather to gather, whatever happens to them in between.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use headcount::{GaugeMode, Registry};
use headcount_merge::{Buckets, Folder, Foreign, Merger};
use headcount_store::directory::Directory;

use crate::peer_file::file_bytes;

/// Waits until whatever happens to the names is told by the directory's times.
fn settle(directory: &Directory) {
    while !directory.stamp().unwrap().is_settled(SystemTime::now()) {
        std::thread::yield_now();
    }
}

fn text(merger: &mut Merger, directory: &Directory) -> String {
    String::from_utf8(merger.merge(directory).unwrap().to_text(Buckets::Cumulative)).unwrap()
}

/// What of a directory this process has open or mapped, which may be deleted.
fn held(path: &Path) -> (usize, usize) {
    let begins = |text: &str| text.starts_with(&format!("{}/", path.display()));
    let targets =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapped =
        maps.lines().filter_map(|line| line.split_once('/')).filter(|(_, path)| begins(&format!("/{path}")));
    (targets.filter(|target| begins(target.to_str().unwrap())).count(), mapped.count())
}

fn own_file(path: &Path) -> PathBuf {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    names.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "hc")).unwrap()
}

/// Files of dead processes, each of which has counted up to so much.
fn add_dead(path: &Path, counts: impl IntoIterator<Item = (u64, u64)>) -> Vec<PathBuf> {
    let add = |(number, count): (u64, u64)| {
        let written = tempfile::tempdir().unwrap();
        let registry = Registry::in_directory(written.path()).unwrap();
        let family = registry.counter_family("c", "", ["l"]).unwrap();
        (0..500).for_each(|n| family.with([&format!("x{n}")]).add(count));
        let dead = path.join(format!("dead-{number}.hc"));
        fs::copy(own_file(written.path()), &dead).unwrap();
        dead
    };
    counts.into_iter().map(add).collect()
}

#[test]
fn whatever_happens_in_a_directory_whose_names_stay_is_seen() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    let registry = Registry::in_directory(temporary.path()).unwrap();
    let counter = registry.counter("c", "").unwrap();
    counter.add(1);
    registry.gauge("g", "", GaugeMode::LiveSum).unwrap().set(4.0);
    let python = temporary.path().join("counter_1.db");
    let entry = |name: &str, value| (format!(r#"["{name}", "{name}", {{}}, ""]"#), value, None);
    fs::write(&python, file_bytes([entry("p_total", 1.0)])).unwrap();
    let mut merger = Merger::default().keeping_files_open();
    let mut check = |expected: &[&str]| {
        // Before it is settled, and twice afterwards.
        for is_settled in [false, true, true] {
            if is_settled {
                settle(&directory);
            }
            let (found, anew) = (text(&mut merger, &directory), text(&mut Merger::default(), &directory));
            assert_eq!(found, anew);
            let samples: Vec<_> = found.lines().filter(|line| !line.starts_with('#')).collect();
            assert_eq!(samples, expected);
        }
    };
    check(&["c_total 1", "g 4", "p_total 1"]);
    counter.add(1);
    check(&["c_total 2", "g 4", "p_total 1"]);
    // More than there was room for, and than is mapped.
    let more = registry.counter_family("d", "x".repeat(20_000).as_str(), ["l"]).unwrap();
    more.with(["y"]).add(5);
    check(&["c_total 2", "d_total{l=\"y\"} 5", "g 4", "p_total 1"]);
    fs::write(&python, file_bytes([entry("p_total", 2.0), entry("q_total", 3.0)])).unwrap();
    check(&["c_total 2", "d_total{l=\"y\"} 5", "g 4", "p_total 2", "q_total 3"]);
    File::options().write(true).open(&python).unwrap().set_len(0).unwrap();
    check(&["c_total 2", "d_total{l=\"y\"} 5", "g 4"]);
    fs::write(&python, file_bytes([entry("p_total", 7.0)])).unwrap();
    check(&["c_total 2", "d_total{l=\"y\"} 5", "g 4", "p_total 7"]);
    // A process ends, and nobody buries it.
    let second = temporary.path().join("1-0000000000000001.hc");
    fs::copy(own_file(temporary.path()), &second).unwrap();
    let lock = File::open(&second).unwrap();
    lock.lock().unwrap();
    check(&["c_total 4", "d_total{l=\"y\"} 10", "g 8", "p_total 7"]);
    drop(lock);
    check(&["c_total 4", "d_total{l=\"y\"} 10", "g 4", "p_total 7"]);
    fs::remove_file(&python).unwrap();
    check(&["c_total 4", "d_total{l=\"y\"} 10", "g 4"]);
}

#[test]
fn files_that_are_truncated_while_they_are_read_are_skipped_and_the_others_are_not() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    let files = add_dead(temporary.path(), (0..20).map(|number| (number, 1 << number)));
    settle(&directory);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraping = scope.spawn(|| {
            let mut merger = Merger::default().keeping_files_open();
            let mut scrapes = 0;
            while !done.load(Ordering::Relaxed) || scrapes < 10 {
                let merged = merger.merge(&directory).unwrap();
                let report = merged.report();
                let names = report.skipped.iter().map(|skipped| skipped.name.to_str().unwrap());
                let numbers = names.map(|name| name[5..name.len() - 3].parse::<u64>().unwrap());
                let missing: u64 = numbers.map(|number| 1_u64 << number).sum();
                for skipped in &report.skipped {
                    assert!(
                        ["used_beyond_end", "empty", "too_short"].contains(&skipped.error.reason()),
                        "{skipped}"
                    );
                }
                let text = String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap();
                for sample in text.lines().filter(|line| !line.starts_with('#')) {
                    let value: u64 = sample.split_once(' ').unwrap().1.parse().unwrap();
                    assert_eq!(value, (1 << 20) - 1 - missing, "a file is taken whole or not at all");
                }
                scrapes += 1;
            }
            text(&mut merger, &directory)
        });
        // To the middle of a page, to its end, to nothing.
        for (number, file) in files.iter().enumerate().skip(1) {
            let file = File::options().write(true).open(file).unwrap();
            let len = file.metadata().unwrap().len();
            for len in &[len - 1, len / 8192 * 4096, 4097, 4095, 0][number % 5..] {
                file.set_len(*len).unwrap();
                std::thread::yield_now();
            }
            file.set_len(0).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        let left = scraping.join().unwrap();
        assert!(left.contains("} 1\n") && !left.contains("} 2\n"), "{left}");
    });
}

#[test]
fn deleted_files_are_let_go_of() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    let files = add_dead(temporary.path(), [(0, 1), (1, 1), (2, 1)]);
    let mut merger = Merger::default().keeping_files_open();
    let expected = text(&mut merger, &directory);
    assert_eq!(held(temporary.path()), (3, 3));
    Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
    assert_eq!(held(temporary.path()), (3, 3));
    merger.close_deleted(&directory);
    assert_eq!(held(temporary.path()), (0, 0));
    assert_eq!(text(&mut merger, &directory), expected);
    assert_eq!(held(temporary.path()), (1, 1), "the archive");
    fs::rename(temporary.path().join("archive-3.hc"), &files[0]).unwrap();
    assert_eq!(text(&mut merger, &directory), expected, "under another name it is the same");
    fs::remove_file(&files[0]).unwrap();
    text(&mut merger, &directory);
    assert_eq!(held(temporary.path()), (0, 0), "a gather lets go of them, too");
    drop(add_dead(temporary.path(), [(7, 1)]));
    assert_eq!(text(&mut Merger::default(), &directory), expected.replace("} 3\n", "} 1\n"));
    assert_eq!(held(temporary.path()), (0, 0), "without having been told to, none is kept");
}

#[test]
fn files_stay_open_also_after_all_that_was_known_had_to_be_forgotten() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    let registry = Registry::in_directory(temporary.path()).unwrap();
    registry.counter("kept", "").unwrap().add(1);
    let files = add_dead(temporary.path(), [(0, 1)]);
    let mut merger = Merger::default().keeping_files_open();
    text(&mut merger, &directory);
    let before = held(temporary.path());
    fs::remove_file(&files[0]).unwrap();
    for _ in 0..2 {
        assert!(!text(&mut merger, &directory).contains("c_total"), "nobody describes it any more");
        assert_eq!(held(temporary.path()), (before.0 - 1, before.1 - 1));
    }
}

#[test]
fn what_an_archive_stands_for_does_not_count_however_often_it_is_looked_at() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    let files = add_dead(temporary.path(), [(0, 1), (1, 2)]);
    let bytes: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let mut merger = Merger::default().keeping_files_open();
    let mut check = |expected: &str| {
        for _ in 0..3 {
            let found = text(&mut merger, &directory);
            assert_eq!(found, text(&mut Merger::default(), &directory));
            assert!(found.contains(expected), "{found}");
            settle(&directory);
        }
    };
    Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
    check("} 3\n");
    // As a fold that was killed would have left them.
    files.iter().zip(&bytes).for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
    check("} 3\n");
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    check("} 3\n");
    add_dead(temporary.path(), [(7, 4)]);
    check("} 7\n");
}

/// Set in the process that a test starts of itself.
const CHILD: &str = "HEADCOUNT_TEST_CHILD";

#[test]
fn a_process_with_few_descriptors_keeps_few_files_open_and_reads_all() {
    const FILES: u64 = 40;
    if std::env::var_os(CHILD).is_none() {
        let test = "open_files::a_process_with_few_descriptors_keeps_few_files_open_and_reads_all";
        let own = std::env::current_exe().unwrap();
        let run = format!("ulimit -n 80; exec '{}' --exact {test}", own.display());
        let status = Command::new("sh").args(["-c", &run]).env(CHILD, "1").status().unwrap();
        return assert!(status.success());
    }
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    let first = add_dead(temporary.path(), [(0, 1)]).remove(0);
    for number in 1..FILES {
        fs::copy(&first, temporary.path().join(format!("dead-{number}.hc"))).unwrap();
    }
    let mut mergers = [(); 2].map(|()| Merger::default().keeping_files_open());
    for _ in 0..3 {
        for merger in &mut mergers {
            assert!(text(merger, &directory).contains(&format!("}} {FILES}\n")));
        }
        assert_eq!(held(temporary.path()), (20, 20), "a quarter for all");
        settle(&directory);
    }
    drop(mergers);
    assert_eq!(held(temporary.path()), (0, 0));
}
