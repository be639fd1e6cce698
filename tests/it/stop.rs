//! `headcount run`: how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_term_signal_lets_every_accepted_request_end() {
    let directory = directory();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let server = headcount.server();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| http::get(&server, "/sleep/700").map(|answer| answer.status)))
            .collect();
        wait::until_true("all requests are being answered", || connections(&server) >= 12);
        headcount.signal(Signal::SIGTERM);
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| matches!(answer, Ok(200))), "{answers:?}");
    assert!(headcount.wait().success());
    assert!(http::get(&server, "/").is_err(), "the port is closed");
}

/// Established connections of a server, both ends counted.
pub(crate) fn connections(address: &str) -> usize {
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let port = format!(":{port:04X} ");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let established = |line: &&str| line.contains(&port) && line.split_whitespace().nth(3) == Some("01");
    table.lines().filter(established).count()
}

#[test]
fn a_worker_that_does_not_stop_is_killed_at_the_graceful_time_out() {
    let directory = directory();
    let options = ["--graceful-timeout", "600ms"];
    let mut headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "stubborn"]);
    let workers = headcount.workers();
    let start = Instant::now();
    assert!(headcount.stop().success());
    assert!(start.elapsed().as_millis() >= 600);
    assert!(workers.iter().all(|&pid| !process::is_alive(pid)));
    let _ = headcount.wait_for_line("did not stop in time");
}

#[test]
fn a_second_term_signal_hurries() {
    let directory = directory();
    let options = ["--graceful-timeout", "1h"];
    let mut headcount = Headcount::run(1, directory.path(), &options, &[WORKER, "stubborn"]);
    headcount.signal(Signal::SIGTERM);
    let _ = headcount.wait_for_line("stopping");
    headcount.signal(Signal::SIGINT);
    assert!(headcount.wait().success());
}

#[test]
fn workers_and_exporter_die_with_their_master() {
    let directory = directory();
    let mut headcount = Headcount::run(3, directory.path(), &[], &[WORKER, "serve"]);
    let (server, metrics) = (headcount.server(), headcount.metrics());
    let all = process::children(headcount.pid());
    assert_eq!(all.len(), 4);
    headcount.signal(Signal::SIGKILL);
    headcount.wait();
    wait::until_true("everybody is gone", || all.iter().all(|&pid| !process::is_alive(pid)));
    for address in [server, metrics] {
        // Another test may have been given the port meanwhile, for as long as it runs.
        let bind = || std::net::TcpListener::bind(&address).ok();
        drop(wait::until(format!("{address} is free"), bind));
    }
}

#[test]
fn connections_that_wait_in_the_queue_at_a_term_signal_are_answered_and_later_ones_refused() {
    let directory = directory();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let server = headcount.server();
    let workers = headcount.workers();
    workers.iter().for_each(|&pid| process::signal(pid, Signal::SIGSTOP));
    // The kernel has accepted them, and nobody else yet.
    let mut queued: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&server).unwrap()).collect();
    for stream in &mut queued {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    headcount.signal(Signal::SIGTERM);
    let _ = headcount.wait_for_line("stopping");
    workers.iter().for_each(|&pid| process::signal(pid, Signal::SIGCONT));
    for (n, mut stream) in queued.into_iter().enumerate() {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "request {n}: {answer}");
    }
    assert!(headcount.wait().success());
    assert!(TcpStream::connect(&server).is_err());
}

#[test]
fn a_term_signal_at_any_moment_of_the_boot_ends_everything_at_once() {
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            scope
                .spawn(move || (0..25).for_each(|n| stop_after(Duration::from_millis((n * 4 + thread) * 5))));
        }
    });
}

/// Starts a supervisor whose workers take their time, and stops it after a while.
fn stop_after(time: Duration) {
    let directory = directory();
    let arguments = ["run", "--workers", "3", "--graceful-timeout", "1h", "--metrics", "none", "--dir"];
    let worker = ["--", WORKER, "boot", "300"];
    let mut headcount =
        Headcount::start(arguments.iter().chain(&[directory.path().to_str().unwrap()]).chain(&worker));
    let start = Instant::now();
    // Whatever it is doing by then; before it takes its signals, one of them ends it as it ends any program.
    let _ = headcount.wait_for_line("metrics directory");
    while start.elapsed() < time {
        std::thread::yield_now();
    }
    let children = process::children(headcount.pid());
    headcount.signal(Signal::SIGTERM);
    let status = headcount.wait();
    assert!(status.success(), "{status}, stopped after {time:?}");
    let orphans: Vec<_> = children.into_iter().filter(|&pid| process::is_alive(pid)).collect();
    assert_eq!(orphans, Vec::<u32>::new(), "stopped after {time:?}");
}

#[test]
fn workers_that_do_not_stop_when_their_master_is_killed_are_killed_in_the_end() {
    let directory = directory();
    let options = ["--graceful-timeout", "500ms"];
    let mut headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "stubborn"]);
    let all = process::children(headcount.pid());
    headcount.signal(Signal::SIGKILL);
    headcount.wait();
    wait::until_true("everybody is gone", || all.iter().all(|&pid| !process::is_alive(pid)));
}

#[test]
fn a_master_that_is_killed_lets_its_workers_finish_and_leaves_the_port_to_the_next() {
    let directory = directory();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let (server, workers) = (headcount.server(), headcount.workers());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| http::get(&server, "/sleep/700").unwrap());
        wait::until_true("the request is being answered", || connections(&server) >= 2);
        headcount.signal(Signal::SIGKILL);
        headcount.wait();
        assert_eq!(slow.join().unwrap().status, 200);
    });
    wait::until_true("the workers are gone", || workers.iter().all(|&pid| !process::is_alive(pid)));
    // The same directory and the same port, with what the killed one has left in them.
    let options = ["--bind", &format!("next={server}")];
    let next = Headcount::run(2, directory.path(), &options, &[WORKER, "serve"]);
    assert_eq!(next.value("test_alive"), Some(2.0), "no ghosts");
    assert_eq!(next.value("test_requests_total"), Some(0.0), "the directory was wiped");
}
