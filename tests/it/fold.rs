//! Folding, with real processes: killed at every system call, and while workers die by the hundred.

use std::fs;
use std::path::Path;
use std::process::Command;

use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, process, text, wait};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::WORKER;
use crate::directory::{KEY, add, python_file};
use crate::supervisor::truth_of_all;

fn names(directory: &Path) -> Vec<String> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = all.collect();
    names.sort();
    names
}

fn merged(directory: &Path) -> String {
    let directory = Directory::open(directory).unwrap();
    let mut merger = Merger::default();
    let merged = merger.merge(&directory).unwrap();
    assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
    String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap()
}

/// More system calls than any fold has.
const NEVER: usize = usize::MAX / 2;

/// Folds in a process of its own, which is killed when it enters the system call of this number. Without
/// getting so far, it tells how many there were.
#[expect(unsafe_code, reason = "a process says by itself that it is to be traced")]
fn fold_until(directory: &Path, system_call: usize) -> Option<usize> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(WORKER);
    command.arg("fold").arg(directory);
    // SAFETY: between fork and exec, one system call.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    let pid = Pid::from_raw(command.spawn().unwrap().id().try_into().unwrap());
    assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL)
        .unwrap();
    // It stops at the beginning of each, and at the end.
    for stop in 0_usize.. {
        ptrace::syscall(pid, None).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) if stop == 2 * system_call => {
                ptrace::kill(pid).unwrap();
                assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Signaled(_, Signal::SIGKILL, _)));
                return None;
            }
            WaitStatus::PtraceSyscall(_) => {}
            WaitStatus::Exited(_, 0) => return Some(stop / 2),
            other => panic!("{other:?}"),
        }
    }
    unreachable!("it has ended")
}

/// Lets a worker count so much and die, and buries it under its number.
fn bury_own(directory: &Path, number: u32) {
    add(directory, 10 + number);
    let is_of_process = |name: &str| name.starts_with(|c: char| c.is_ascii_digit()) && name.ends_with(".hc");
    let written = names(directory).into_iter().find(|name| is_of_process(name)).unwrap();
    fs::rename(directory.join(written), directory.join(format!("dead-{number}.hc"))).unwrap();
}

#[test]
fn a_fold_that_is_killed_at_any_system_call_loses_nothing_and_counts_nothing_twice() {
    let template = tempfile::tempdir().unwrap();
    let bury_own = |number: u32| bury_own(template.path(), number);
    (0..2).for_each(bury_own);
    assert!(fold_until(template.path(), NEVER).is_some());
    (3..5).for_each(bury_own);
    for number in 5..7 {
        fs::write(template.path().join(format!("counter_9.dead-{number}.db")), python_file(&[KEY])).unwrap();
    }
    let expected = merged(template.path());
    assert_eq!(text::value(&expected, "test_added_total"), Some(48.0));
    assert_eq!(text::value(&expected, "python_total"), Some(2.0));
    // Before it looks into the directory, there is nothing to be afraid of.
    let empty = tempfile::tempdir().unwrap();
    let first = fold_until(empty.path(), NEVER).unwrap() - 40;
    let (mut system_call, mut states) = (first, std::collections::BTreeSet::new());
    loop {
        let copy = tempfile::tempdir().unwrap();
        names(template.path()).iter().for_each(|name| {
            fs::copy(template.path().join(name), copy.path().join(name)).unwrap();
        });
        if fold_until(copy.path(), system_call).is_some() {
            break;
        }
        assert_eq!(merged(copy.path()), expected, "killed at {system_call}: {:?}", names(copy.path()));
        states.insert(names(copy.path()).len());
        // Whoever goes on after it may be killed as well.
        fold_until(copy.path(), system_call);
        assert_eq!(merged(copy.path()), expected, "killed twice at {system_call}");
        assert!(Command::new(WORKER).arg("fold").arg(copy.path()).status().unwrap().success());
        assert_eq!(merged(copy.path()), expected, "killed at {system_call}, then ended");
        assert_eq!(names(copy.path()), ["archive-7.hc"], "killed at {system_call}");
        system_call += 1;
    }
    assert!(system_call > first + 100, "{first} {system_call}");
    // With the temporary file or not, with both the archive and its sources, and ever fewer of these.
    assert!(states.len() >= 5, "{states:?}");
}

/// Scrapes until there is an answer: an exporter that was killed answers no more, and its successor does.
pub(crate) fn scrape(headcount: &Headcount) -> String {
    let metrics = headcount.metrics();
    wait::until("an answer", || {
        let answer = http::get(&metrics, "/metrics").ok().filter(|answer| answer.status == 200)?;
        Some(answer.text().to_owned())
    })
}

#[test]
fn workers_die_by_the_hundred_and_neither_do_sums_fall_nor_files_pile_up() {
    let (directory, truth) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let base = ["run", "--workers", "4", "--metrics", "127.0.0.1:0", "--dir"];
    let [of_metrics, of_truth] = [&directory, &truth].map(|folder| folder.path().to_str().unwrap());
    let headcount = Headcount::start(base.iter().chain(&[of_metrics, "--", WORKER, "once", of_truth]));
    let (mut last, mut kills) = (0.0, 0);
    wait::until_true("a thousand workers have died", || {
        let now = text::value(&scrape(&headcount), "test_counted_total").unwrap_or(0.0);
        assert!(now >= last, "the sum fell from {last} to {now}");
        last = now;
        if kills < 3 && now > 300.0 * f64::from(kills + 1) {
            process::signal(headcount.exporter(), Signal::SIGKILL);
            kills += 1;
            return false;
        }
        now > 1000.0
    });
    headcount.signal(Signal::SIGSTOP);
    let exporter = headcount.exporter();
    wait::until_true("the workers have ended", || {
        process::children(headcount.pid()).iter().all(|&pid| pid == exporter)
    });
    wait::until_true("all but a few files are folded", || names(directory.path()).len() < 16);
    let scraped = headcount.scrape();
    let (before, after) = truth_of_all(truth.path());
    headcount.signal(Signal::SIGCONT);
    assert_eq!(before, after);
    assert_eq!(text::value(&scraped, "test_counted_total"), Some(after as f64));
    assert!(text::value(&scraped, "headcount_folded_files_total").unwrap() > 900.0);
}

#[test]
fn peers_files_are_folded_unless_an_application_reads_them_itself() {
    for (options, left) in [(&[][..], 0), (&["--no-fold-foreign"], 20)] {
        let directory = tempfile::tempdir().unwrap();
        let headcount = Headcount::run(1, directory.path(), options, &[WORKER, "serve"]);
        for number in 0..20 {
            let name = format!("counter_9.dead-{number}.db");
            fs::write(directory.path().join(name), python_file(&[KEY])).unwrap();
        }
        for number in 20..30 {
            let elsewhere = tempfile::tempdir().unwrap();
            bury_own(elsewhere.path(), number);
            let name = format!("dead-{number}.hc");
            fs::rename(elsewhere.path().join(&name), directory.path().join(&name)).unwrap();
        }
        let with = |end: &str| names(directory.path()).iter().filter(|name| name.ends_with(end)).count();
        // The supervisor's own, the worker's, and an archive.
        wait::until_true("ours are folded", || with(".hc") < 12 && with(".db") <= left.max(8));
        assert!(with(".db") == left || left == 0);
        let scraped = headcount.scrape();
        assert_eq!(text::value(&scraped, "python_total"), Some(20.0));
        assert_eq!(text::value(&scraped, "test_added_total"), Some(345.0));
    }
}
