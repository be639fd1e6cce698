//! `headcount run`: how it begins, and what if it cannot.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_start_that_cannot_succeed_says_why_and_forks_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let stranger = directory();
    std::fs::write(stranger.path().join("letter.txt"), "precious").unwrap();
    let owned = directory();
    let owner = Headcount::run(1, owned.path(), &[], &[WORKER, "stubborn"]);
    let holder = format!("headcount, PID {}", owner.pid());
    let fresh = directory();
    let check = |arguments: &[&str], dir: &Path, expected: &str| {
        let base = ["run", "--metrics", "127.0.0.1:0", "--dir", dir.to_str().unwrap()];
        let output = Command::new(binary::headcount()).args(base).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("started"), "{said}");
    };
    check(&["--", "./no-such-program"], fresh.path(), "cannot find the program `./no-such-program`");
    check(
        &["--bind", &taken, "--bind-timeout", "0s", "--", WORKER],
        fresh.path(),
        &format!("cannot listen on {taken}: it is taken by PID {} (", std::process::id()),
    );
    check(&["--", WORKER], stranger.path(), "it holds files that are no metrics: letter.txt");
    check(&["--", WORKER], owned.path(), &holder);
    assert!(stranger.path().join("letter.txt").exists());
}

#[test]
fn the_directory_is_wiped_before_the_first_worker_and_one_of_its_own_is_removed() {
    let directory = directory();
    std::fs::write(directory.path().join("counter_1.db"), "left behind").unwrap();
    let headcount = Headcount::run(1, directory.path(), &[], &[WORKER, "serve"]);
    assert!(!directory.path().join("counter_1.db").exists());
    assert_eq!(headcount.value("headcount_files{client=\"python\"}"), Some(0.0));
    drop(headcount);
    let mut headcount =
        Headcount::start(["run", "--workers", "1", "--metrics", "127.0.0.1:0", "--", WORKER, "stubborn"]);
    headcount.wait_until_ready();
    let line = headcount.wait_for_line("metrics directory");
    let own = line.split("path=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(Path::new(&own).is_dir());
    headcount.signal(Signal::SIGTERM);
    headcount.signal(Signal::SIGINT);
    assert!(headcount.wait().success());
    assert!(!Path::new(&own).exists() && !Path::new(&own).parent().unwrap().exists());
}

#[test]
fn a_program_that_cannot_boot_ends_every_run_in_the_same_way_and_leaves_nothing_behind() {
    for workers in ["1", "4"] {
        for _ in 0..6 {
            let directory = directory();
            let (socket, metrics) = (directory.path().join("server.sock"), directory.path().join("metrics"));
            let bind = format!("unix:{}", socket.display());
            let run = ["run", "--workers", workers, "--bind", &bind, "--metrics", "127.0.0.1:0", "--dir"];
            let worker = ["--", WORKER, "exit", "7"];
            let mut headcount =
                Headcount::start(run.iter().chain(&[metrics.to_str().unwrap()]).chain(&worker));
            assert_eq!(headcount.wait().code(), Some(3));
            let _ = headcount.wait_for_line("no worker has ever been ready");
            assert_eq!(headcount.log().matches("no worker has ever been ready").count(), 1);
            assert!(!socket.exists());
            let left: Vec<_> =
                std::fs::read_dir(&metrics).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["headcount.lock"]);
        }
    }
}

#[test]
fn a_worker_that_hangs_before_it_is_ready_is_killed_and_counts_as_failed() {
    let directory = directory();
    let line = format!("[ $HEADCOUNT_SLOT = 1 ] && exec sleep 600; exec {WORKER} serve");
    let options =
        ["--boot-timeout", "500ms", "--ready-after", "1h", "--dir", directory.path().to_str().unwrap()];
    let run = ["run", "--workers", "2", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let worker = ["--", "sh", "-c", &line];
    let headcount = Headcount::start(run.iter().chain(&options).chain(&worker));
    let _ = headcount.wait_for_line("was not ready in time, killing it");
    wait::until_true("it waits for another try", || {
        headcount.value("headcount_workers{state=\"backing_off\"}") == Some(1.0)
    });
    assert!(
        headcount.value("headcount_exits_total{process=\"worker\",reason=\"boot_failure\"}") >= Some(2.0)
    );
    assert_eq!(headcount.value("headcount_workers{state=\"ready\"}"), Some(1.0));
    assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
}

#[test]
fn a_crash_loop_is_slowed_down_and_reported_and_costs_nothing() {
    let directory = directory();
    let line = format!("[ $HEADCOUNT_SLOT = 1 ] && exit 1; exec {WORKER} serve");
    let options = ["--ready-after", "1h", "--dir", directory.path().to_str().unwrap()];
    let run = ["run", "--workers", "2", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let worker = ["--", "sh", "-c", &line];
    let start = Instant::now();
    let mut headcount = Headcount::start(run.iter().chain(&options).chain(&worker));
    let starts = || headcount.value("headcount_starts_total{process=\"worker\"}");
    wait::until_true("the fifth try of the one beside the first of the other", || starts() >= Some(6.0));
    // At once, and then after half a second, one and two, each less up to a fifth.
    assert!(start.elapsed().as_millis() >= 2800, "{:?}", start.elapsed());
    wait::until_true("it waits for the next one", || {
        headcount.value("headcount_workers{state=\"backing_off\"}") == Some(1.0)
    });
    assert_eq!(headcount.value("headcount_workers{state=\"ready\"}"), Some(1.0));
    assert!(headcount.log().lines().count() < 40, "two lines a try");
    assert!(process::cpu_seconds(headcount.pid()) < 0.5);
    assert!(headcount.stop().success(), "a wait for another try does not hold up a stop");
}
