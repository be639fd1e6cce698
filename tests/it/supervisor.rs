//! `headcount run`: workers that serve, die, are replaced and stop.

use std::collections::HashSet;
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

fn files(directory: &Path) -> Vec<String> {
    let listed = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn four_workers_share_one_port_and_are_scraped_as_one() {
    let directory = directory();
    let headcount = Headcount::run(4, directory.path(), &[], &[WORKER, "serve"]);
    let server = headcount.server();
    let mut pids = HashSet::new();
    let mut asked = 0;
    wait::until_true("every worker has answered", || {
        pids.insert(http::get(&server, "/").unwrap().text().to_owned());
        asked += 1;
        pids.len() == 4
    });
    let workers: HashSet<_> = headcount.workers().iter().map(ToString::to_string).collect();
    assert_eq!(pids, workers);
    let text = headcount.scrape();
    assert_eq!(headcount_tests::text::value(&text, "test_requests_total"), Some(f64::from(asked)));
    assert_eq!(headcount_tests::text::value(&text, "test_alive"), Some(4.0));
    assert_eq!(headcount_tests::text::value(&text, "headcount_files{client=\"headcount\"}"), Some(5.0));
}

#[test]
fn a_killed_worker_is_replaced_and_what_it_counted_stays() {
    let directory = directory();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let server = headcount.server();
    (0..20).for_each(|_| drop(http::get(&server, "/").unwrap()));
    let before = headcount.workers();
    process::signal(before[0], Signal::SIGKILL);
    wait::until_true("another worker runs", || {
        let now = headcount.workers();
        now.len() == 2 && !now.contains(&before[0])
    });
    headcount.wait_until_ready();
    let text = headcount.scrape();
    let value = |key: &str| headcount_tests::text::value(&text, key);
    assert_eq!(value("test_requests_total"), Some(20.0));
    assert_eq!(value("test_alive"), Some(2.0), "the dead worker's gauge does not count");
    assert_eq!(value("headcount_exits_total{process=\"worker\",reason=\"SIGKILL\"}"), Some(1.0));
    assert_eq!(value("headcount_starts_total{process=\"worker\"}"), Some(3.0));
    assert!(files(directory.path()).contains(&"dead-0.hc".to_owned()), "{:?}", files(directory.path()));
    assert!(headcount.stop().success());
}

#[test]
fn whatever_is_killed_at_random_under_load_no_increment_is_lost_or_counted_twice() {
    let (directory, truth) = (directory(), directory());
    let headcount =
        Headcount::run(4, directory.path(), &[], &[WORKER, "count", truth.path().to_str().unwrap()]);
    let mut kills = 0;
    let mut last = 0.0;
    // Deterministic, so that a failure can be looked at again.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    while kills < 16 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let workers = wait::until("some worker runs", || {
            let workers = headcount.workers();
            (!workers.is_empty()).then_some(workers)
        });
        let victim = workers[usize::try_from(seed >> 33).unwrap() % workers.len()];
        if nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim.try_into().unwrap()), Signal::SIGKILL)
            .is_ok()
        {
            kills += 1;
        }
        let now = headcount.value("test_counted_total").unwrap_or(last);
        assert!(now >= last, "the sum fell from {last} to {now}");
        last = now;
        wait::until_true("some worker counts", || {
            headcount.value("test_counted_total").unwrap_or(0.0) > last
        });
    }
    // They stop by themselves, each after a whole round.
    headcount.signal(Signal::SIGSTOP);
    let workers = process::children(headcount.pid());
    let exporter = headcount.exporter();
    let counting: Vec<_> = workers.into_iter().filter(|&pid| pid != exporter).collect();
    counting.iter().for_each(|&pid| process::signal(pid, Signal::SIGTERM));
    wait::until_true("nobody counts any more", || counting.iter().all(|&pid| !process::is_alive(pid)));
    let counted = headcount.value("test_counted_total").unwrap();
    let (before, after) = truth_of_all(truth.path());
    headcount.signal(Signal::SIGCONT);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let counted = counted as u64;
    assert!(after <= counted && counted <= before, "{after} <= {counted} <= {before}");
    assert!(before - after <= kills, "each kill leaves at most one open");
    assert!(after > 1000, "they did count");
}

/// What all workers have counted, as told before and after each increment.
pub(crate) fn truth_of_all(folder: &Path) -> (u64, u64) {
    let sum = |when: &str| {
        let of_all = files(folder).into_iter().filter(|name| name.starts_with(when));
        let read = |name: String| std::fs::read(folder.join(name)).unwrap();
        // A worker that is killed before it has sized its file has counted nothing.
        of_all.map(|name| read(name).try_into().map_or(0, u64::from_le_bytes)).sum()
    };
    (sum("before"), sum("after"))
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
fn a_killed_exporter_comes_back_and_nobody_else_notices() {
    let directory = directory();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let (workers, exporter) = (headcount.workers(), headcount.exporter());
    drop(http::get(&headcount.server(), "/").unwrap());
    process::signal(exporter, Signal::SIGKILL);
    wait::until_true("another exporter runs", || headcount.exporter() != exporter);
    assert_eq!(headcount.value("test_requests_total"), Some(1.0));
    assert_eq!(headcount.workers(), workers);
}

#[test]
fn a_program_that_never_comes_up_is_given_up_with_its_own_exit_status() {
    let directory = directory();
    let mut headcount = Headcount::start([
        "run",
        "--workers",
        "2",
        "--metrics",
        "127.0.0.1:0",
        "--dir",
        directory.path().to_str().unwrap(),
        "--",
        WORKER,
        "exit",
        "7",
    ]);
    assert_eq!(headcount.wait().code(), Some(3));
    let _ = headcount.wait_for_line("no worker has ever been ready");
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
    let line = headcount.wait_for_line("metrics directory path=");
    let own = line.split("path=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(Path::new(&own).is_dir());
    headcount.signal(Signal::SIGTERM);
    headcount.signal(Signal::SIGINT);
    assert!(headcount.wait().success());
    assert!(!Path::new(&own).exists() && !Path::new(&own).parent().unwrap().exists());
}

#[test]
fn a_worker_gets_what_it_is_meant_to_have_and_nothing_else() {
    let directory = directory();
    let headcount =
        Headcount::run(2, directory.path(), &["--bind", "admin=127.0.0.1:0"], &[WORKER, "stubborn"]);
    for pid in headcount.workers() {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environment = String::from_utf8(environment).unwrap();
        let variable = |name: &str| {
            let mut all = environment.split('\0').filter_map(|line| line.split_once('='));
            all.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
        };
        assert_eq!(variable("LISTEN_FDS").as_deref(), Some("2"));
        assert_eq!(variable("LISTEN_FDNAMES").as_deref(), Some("http:admin"));
        assert_eq!(variable("LISTEN_PID"), Some(pid.to_string()));
        assert_eq!(variable("PROMETHEUS_MULTIPROC_DIR").as_deref(), directory.path().to_str());
        assert!(matches!(variable("HEADCOUNT_SLOT").as_deref(), Some("0" | "1")));
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mask = |status: &str, name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            // The two highest of these are the threading library's own.
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap() & 0x7fff_ffff
        };
        assert_eq!(mask(&status, "SigBlk:"), 0, "no signal is blocked");
        // What this test was started with is passed on; SIGPIPE, every Rust program ignores by itself.
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        assert_eq!(mask(&status, "SigIgn:"), mask(&own, "SigIgn:"), "no other signal is ignored");
        let descriptor = |n: u32| std::fs::read_link(format!("/proc/{pid}/fd/{n}")).unwrap();
        assert_eq!(descriptor(0), Path::new("/dev/null"));
        for passed in [3, 4] {
            assert!(descriptor(passed).to_str().unwrap().starts_with("socket:"));
        }
        let leaked: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap())
            .filter(|link| {
                link.to_str().is_some_and(|link| link.contains("signalfd") || link.contains(".lock"))
            })
            .collect();
        assert_eq!(leaked, Vec::<std::path::PathBuf>::new());
    }
}
