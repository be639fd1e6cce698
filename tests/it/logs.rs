//! The log of `headcount`, and what workers print: in the form that was asked for, and never in anybody's way.

use std::fs::File;
use std::io::{BufRead, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

/// `headcount run` with these options and this command behind them.
fn command(directory: &std::path::Path, options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(binary::headcount());
    let base = ["run", "--workers", "2", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dir"];
    command.args(base).arg(directory).args(options).arg("--").args(program);
    command.env_remove("PROMETHEUS_MULTIPROC_DIR").stdout(Stdio::null());
    command
}

/// As long as what a pipe takes as a whole.
fn filling() -> String {
    "fill".repeat(1024)[..4095].to_owned() + "\n"
}

/// Fills the pipe that is a process's descriptor `number`, without changing it.
fn fill(pid: u32, number: u32) {
    let path = format!("/proc/{pid}/fd/{number}");
    let mut pipe = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    let refusal = loop {
        if let Err(error) = pipe.write_all(filling().as_bytes()) {
            break error;
        }
    };
    assert_eq!(refusal.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up_and_says_afterwards_how_much_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let command = command(directory.path(), &[], &[WORKER, "serve"]);
    let (mut headcount, mut log) = Headcount::spawn_unheard(command);
    fill(headcount.pid(), 2);
    headcount.wait_until_ready();
    headcount.signal(Signal::SIGHUP);
    wait::until_true("it is reloaded", || {
        headcount.value("headcount_reloads_total{outcome=\"success\"}") == Some(1.0)
    });
    headcount.signal(Signal::SIGTTIN);
    wait::until_true("there are three workers", || headcount.workers().len() == 3);
    process::signal(headcount.workers()[0], Signal::SIGKILL);
    wait::until_true("one is replaced", || {
        headcount.value("headcount_starts_total{process=\"worker\"}") == Some(6.0)
    });
    headcount.wait_until_ready();
    // Once there is room, the next line tells what is missing.
    let mut line = String::new();
    let mut next = || {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
        line.clone()
    };
    while next() != filling() {}
    assert_eq!(next(), filling());
    headcount.signal(Signal::SIGTTIN);
    let late = wait::until("a line that counts", || Some(next()).filter(|line| line.contains("dropped=")));
    let dropped = late.trim_end().rsplit_once("dropped=").unwrap().1.parse::<u32>().unwrap();
    assert!(dropped >= 10, "{late}");
    fill(headcount.pid(), 2);
    let full = std::time::Instant::now();
    assert!(headcount.stop().success());
    assert!(full.elapsed().as_secs() < 20, "less than the graceful time-out");
}

#[test]
fn each_line_of_the_log_is_of_the_form_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let lines = |options: &[&str]| {
        let (mut headcount, log) =
            Headcount::spawn_unheard(command(directory.path(), options, &[WORKER, "serve"]));
        headcount.wait_until_ready();
        assert!(headcount.stop().success());
        let first = headcount.log();
        let rest: Vec<_> = log.lines().map(Result::unwrap).collect();
        first.lines().map(str::to_owned).chain(rest).collect::<Vec<_>>()
    };
    let logfmt = lines(&[]);
    assert!(logfmt.iter().all(|line| line.starts_with("ts=20") && line.contains("Z level=info msg=")));
    assert!(logfmt.iter().any(|line| line.contains(" msg=ready process=\"worker 1\" pid=")), "{logfmt:?}");
    let json = lines(&["--log.format", "json"]);
    let parse = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let json: Vec<_> = json.iter().map(parse).collect();
    assert!(json.iter().all(|line| line["level"] == "info" && line["ts"].is_string()));
    assert!(json.iter().any(|line| line["msg"] == "ready" && line["process"] == "worker 1"), "{json:?}");
    let debug = lines(&["--log.level", "debug"]);
    assert!(debug.len() >= logfmt.len());
}

#[test]
fn what_is_below_the_level_is_not_logged() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--log.level", "error", "run", "--workers", "1", "--metrics", "none", "--dir"];
    let mut command = Command::new(binary::headcount());
    command.args(arguments).arg(directory.path()).args(["--", WORKER, "exit", "7"]);
    let output = command.env_remove("PROMETHEUS_MULTIPROC_DIR").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(" level=error msg=\"no worker has ever been ready: giving up\""), "{said}");
}
