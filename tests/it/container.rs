//! `headcount run` as process 1 of a container, and in the foreground of a terminal.

use std::os::unix::process::CommandExt;
use std::process::Command;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, wait};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::WORKER;
use crate::namespaces::in_namespace;
use crate::stop::connections;

const RUN: &str = "run --workers 2 --bind 127.0.0.1:0 --metrics 127.0.0.1:0";

/// Starts it as process 1 of a PID namespace, and tells its PID out here.
fn as_process_one(worker: &str) -> (Headcount, u32) {
    let script = format!("exec {} {RUN} -- {WORKER} {worker}", binary::headcount().display());
    let container = Headcount::spawn(in_namespace(&script));
    container.wait_until_ready();
    let master = process::children(container.pid())[0];
    (container, master)
}

/// All children, those included that are dead and not reaped.
fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    listed.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

#[test]
fn process_one_reaps_a_thousand_orphans_and_takes_none_for_a_worker() {
    // The workers are ready when they have left them behind.
    let (mut container, master) = as_process_one("orphans 500");
    wait::until_true("none is left, dead or alive", || children(master).len() == 3);
    let scraped = container.scrape();
    let exits: Vec<_> = scraped.lines().filter(|line| line.starts_with("headcount_exits_total")).collect();
    assert!(exits.iter().all(|line| line.ends_with(" 0")), "{exits:?}");
    assert!(scraped.contains("headcount_starts_total{process=\"worker\"} 2"), "{scraped}");
    assert_eq!(http::get(&container.server(), "/").unwrap().status, 200);
    process::signal(master, Signal::SIGTERM);
    assert!(container.wait().success());
}

#[test]
fn process_one_that_is_told_to_stop_lets_requests_finish_and_exits_with_zero() {
    let (mut container, master) = as_process_one("serve");
    let server = container.server();
    std::thread::scope(|scope| {
        let request = scope.spawn(|| http::get(&server, "/sleep/3000").unwrap().status);
        wait::until_true("the request is being answered", || connections(&server) >= 2);
        process::signal(master, Signal::SIGTERM);
        assert_eq!(request.join().unwrap(), 200);
    });
    assert!(container.wait().success());
}

#[test]
fn ctrl_c_in_a_terminal_lets_requests_finish() {
    let mut command = Command::new(binary::headcount());
    // A shell gives each of its jobs a process group, and the terminal signals the one in the foreground.
    command.args(RUN.split(' ')).args(["--", WORKER, "serve"]).process_group(0);
    let mut headcount = Headcount::spawn(command);
    headcount.wait_until_ready();
    let server = headcount.server();
    std::thread::scope(|scope| {
        let request = scope.spawn(|| http::get(&server, "/sleep/3000").unwrap().status);
        wait::until_true("the request is being answered", || connections(&server) >= 2);
        killpg(Pid::from_raw(headcount.pid().try_into().unwrap()), Signal::SIGINT).unwrap();
        assert_eq!(request.join().unwrap(), 200);
    });
    assert!(headcount.wait().success());
}
