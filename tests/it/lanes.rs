//! `headcount run --reuse-port`: a queue for each worker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

/// A server whose workers have a queue each.
fn with_lanes(workers: u32, options: &[&str]) -> (Headcount, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options: Vec<_> = ["--reuse-port"].iter().chain(options).copied().collect();
    let headcount = Headcount::run(workers, directory.path(), &options, &[WORKER, "serve"]);
    (headcount, directory)
}

/// The sockets that the workers have, as `/proc` calls them.
fn queues(headcount: &Headcount) -> Vec<PathBuf> {
    let socket = |pid: u32| std::fs::read_link(format!("/proc/{pid}/fd/3")).unwrap_or_default();
    let mut queues: Vec<_> = headcount.workers().into_iter().map(socket).collect();
    queues.sort();
    queues
}

/// How many connections wait to be accepted from a socket, as the kernel's table has it.
fn waiting_in(queue: &Path) -> u32 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let inode = queue.to_str().unwrap().trim_start_matches("socket:[").trim_end_matches(']');
    let rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let row = rows.into_iter().find(|row| row.get(9) == Some(&inode)).unwrap();
    u32::from_str_radix(row[4].split_once(':').unwrap().1, 16).unwrap()
}

/// How many requests were answered and lost while `act` ran, by clients that each send one after the other.
fn under_load(address: &str, clients: u32, act: impl FnOnce(&dyn Fn())) -> (u32, u32) {
    let (answered, lost, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    let some_more = || {
        let before = answered.load(Ordering::Relaxed);
        wait::until_true("some more are answered", || answered.load(Ordering::Relaxed) > before + 100);
    };
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let is_answered = http::get(address, "/").is_ok_and(|answer| answer.status == 200);
                    let count = if is_answered { &answered } else { &lost };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _end = wait::SetAtEnd(&done);
        act(&some_more);
    });
    (answered.into_inner(), lost.into_inner())
}

fn reload(headcount: &Headcount) {
    let key = "headcount_reloads_total{outcome=\"success\"}";
    let before = headcount.value(key);
    headcount.signal(Signal::SIGHUP);
    wait::until_true("it reloads", || headcount.value(key) > before);
}

#[test]
fn what_waits_in_a_workers_queue_outlives_the_worker() {
    let (headcount, _directory) = with_lanes(2, &[]);
    let (server, before) = (headcount.server(), queues(&headcount));
    assert_ne!(before[0], before[1]);
    let [stopped, other] = headcount.workers().try_into().unwrap();
    process::signal(stopped, Signal::SIGSTOP);
    let queue = std::fs::read_link(format!("/proc/{stopped}/fd/3")).unwrap();
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let mut client = TcpStream::connect(&server).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            client
        })
        .collect();
    // Half of them come to it, more or less.
    wait::until_true("the others are answered", || {
        let answered = headcount.value("test_requests_total").unwrap_or(0.0);
        answered > 0.0 && answered + f64::from(waiting_in(&queue)) == 40.0
    });
    assert!(waiting_in(&queue) > 0);
    process::signal(stopped, Signal::SIGKILL);
    let answers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer.rsplit('\n').next().unwrap().to_owned()
        })
        .collect();
    assert!(!answers.contains(&stopped.to_string()) && answers.contains(&other.to_string()), "{answers:?}");
    let successor = headcount.workers().into_iter().find(|&pid| pid != other).unwrap();
    assert!(answers.contains(&successor.to_string()), "{answers:?}");
    assert_eq!(queues(&headcount), before, "the successor has the same queue");
}

#[test]
fn a_reload_under_load_loses_nothing() {
    for surge in ["1", "3"] {
        let (headcount, _directory) = with_lanes(3, &["--surge", surge]);
        let before = queues(&headcount);
        let (_, lost) = under_load(&headcount.server(), 4, |some_more| {
            for _ in 0..3 {
                reload(&headcount);
                some_more();
            }
        });
        assert_eq!(lost, 0);
        wait::until_true("the new ones have the queues of the old ones", || queues(&headcount) == before);
    }
}

#[test]
fn kills_under_load_lose_what_was_in_flight_at_most() {
    let (headcount, _directory) = with_lanes(3, &[]);
    let (clients, kills) = (4, 5);
    let (answered, lost) = under_load(&headcount.server(), clients, |some_more| {
        for _ in 0..kills {
            process::signal(headcount.workers()[0], Signal::SIGKILL);
            some_more();
            wait::until_true("another one serves", || headcount.workers().len() == 3);
            headcount.wait_until_ready();
        }
    });
    assert!(lost <= clients * kills && answered > kills * 100, "{lost} of {answered} are lost");
}

#[test]
fn no_connection_goes_to_a_queue_that_nobody_serves() {
    let (headcount, _directory) = with_lanes(3, &[]);
    let (before, expect) = (queues(&headcount), |count| {
        wait::until_true(format!("there are {count}"), || headcount.workers().len() == count);
        headcount.wait_until_ready();
    });
    let (_, lost) = under_load(&headcount.server(), 4, |some_more| {
        for _ in 0..2 {
            headcount.signal(Signal::SIGTTOU);
            expect(2);
            some_more();
            headcount.signal(Signal::SIGTTIN);
            expect(3);
            some_more();
        }
    });
    assert_eq!(lost, 0);
    assert_eq!(queues(&headcount), before, "a queue is used again");
}

#[test]
fn a_worker_that_backs_off_gets_nothing_new() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("[ $HEADCOUNT_SLOT != 1 ] || exit 1; exec {WORKER} serve");
    let run = "run --workers 3 --reuse-port --bind 127.0.0.1:0 --metrics 127.0.0.1:0 --dir";
    let rest = [directory.path().to_str().unwrap(), "--", "sh", "-c", &script];
    let headcount = Headcount::start(run.split(' ').chain(rest));
    let server = headcount.server();
    let workers = |state: &str| headcount.value(&format!("headcount_workers{{state=\"{state}\"}}"));
    wait::until_true("one backs off", || {
        workers("ready") == Some(2.0) && workers("backing_off") == Some(1.0)
    });
    for _ in 0..60 {
        assert_eq!(http::get(&server, "/").unwrap().status, 200);
    }
}

#[test]
fn what_the_last_worker_of_a_queue_leaves_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--reuse-port", "--graceful-timeout", "500ms"];
    // It never accepts anything.
    let headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "stubborn"]);
    let server = headcount.server();
    let mut clients: Vec<_> = (0..40).map(|_| TcpStream::connect(&server).unwrap()).collect();
    headcount.signal(Signal::SIGTTOU);
    let line = headcount.wait_for_line("connections came too late");
    clients.iter().for_each(|client| client.set_nonblocking(true).unwrap());
    let closed = clients.iter_mut().filter_map(|client| client.read(&mut [0]).ok()).count();
    assert!(line.contains(&format!("closed={closed}")) && (1..40).contains(&closed), "{closed}: {line}");
}
