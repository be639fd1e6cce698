//! `headcount run`: workers that serve, die, are replaced and stop.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, process, wait};
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
fn workers_that_know_how_are_told_to_open_their_logs_again() {
    let directory = tempfile::tempdir().unwrap();
    // The second one would die of the signal.
    let line =
        "if [ $HEADCOUNT_SLOT = 0 ]; then trap 'echo opened >>$0.log' USR1; fi; while :; do sleep 0.05; done";
    let log = directory.path().with_extension("log");
    let name = directory.path().to_str().unwrap();
    let headcount = Headcount::run(2, directory.path(), &[], &["sh", "-c", line, name]);
    let before = headcount.workers();
    headcount.signal(Signal::SIGUSR1);
    let _ = headcount.wait_for_line("told workers to open their logs again\" workers=1");
    wait::until_true("it did", || std::fs::read_to_string(&log).is_ok_and(|text| text == "opened\n"));
    assert_eq!(headcount.workers(), before);
    std::fs::remove_file(log).unwrap();
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
    // Never three: the dead worker's gauge does not count.
    wait::until_true("two are alive", || headcount.value("test_alive") == Some(2.0));
    let text = headcount.scrape();
    let value = |key: &str| headcount_tests::text::value(&text, key);
    assert_eq!(value("test_requests_total"), Some(20.0));
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
fn a_kill_under_load_costs_no_more_than_what_was_being_answered() {
    const CLIENTS: usize = 4;
    let directory = directory();
    let headcount = Headcount::run(3, directory.path(), &[], &[WORKER, "serve"]);
    let server = headcount.server();
    let (failed, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let _end = wait::SetAtEnd(&done);
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let answer = http::get(&server, "/sleep/5");
                    let count =
                        if answer.is_ok_and(|answer| answer.status == 200) { &answered } else { &failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut last = 0.0;
        for victim in headcount.workers() {
            let before = answered.load(Ordering::Relaxed);
            wait::until_true("some are answered", || answered.load(Ordering::Relaxed) > before + 20);
            process::signal(victim, Signal::SIGKILL);
            wait::until_true("another one serves", || {
                let now = headcount.workers();
                now.len() == 3 && !now.contains(&victim) && headcount.value("test_alive") == Some(3.0)
            });
            let sum = headcount.value("test_requests_total").unwrap();
            assert!(sum >= last, "{last} {sum}");
            last = sum;
        }
    });
    let (answered, failed) = (answered.into_inner(), failed.into_inner());
    assert!(failed <= 3 * CLIENTS && answered > 50, "{failed} of {answered}");
    // A worker may have counted what it did not live to answer.
    let counted = headcount.value("test_requests_total").unwrap();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let (least, most) = (answered as f64, (answered + failed) as f64);
    assert!(least <= counted && counted <= most, "{least} {counted} {most}");
}

#[test]
fn a_master_that_has_nothing_to_do_does_nothing_and_is_small() {
    let directory = directory();
    let headcount = Headcount::run(8, directory.path(), &[], &[WORKER, "serve"]);
    let pid = headcount.pid();
    let quiet = || {
        let before = process::wake_ups(pid);
        std::thread::sleep(std::time::Duration::from_secs(2));
        process::wake_ups(pid) - before
    };
    wait::until_true("nothing wakes it up for two seconds", || quiet() == 0);
    assert!(process::private_memory(pid) < 5 << 20, "{}", process::private_memory(pid));
}

#[test]
fn an_exporter_that_is_stopped_holds_nobody_up_and_answers_afterwards() {
    let directory = directory();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let (exporter, metrics, server) = (headcount.exporter(), headcount.metrics(), headcount.server());
    process::signal(exporter, Signal::SIGSTOP);
    std::thread::scope(|scope| {
        let scrape = scope.spawn(|| http::get(&metrics, "/metrics").unwrap());
        assert_eq!(http::get(&server, "/").unwrap().status, 200);
        let before = headcount.workers();
        process::signal(before[0], Signal::SIGKILL);
        wait::until_true("the worker is replaced", || {
            let now = headcount.workers();
            now.len() == 2 && !now.contains(&before[0])
        });
        headcount.signal(Signal::SIGHUP);
        let _ = headcount.wait_for_line("reloaded");
        assert!(!scrape.is_finished());
        process::signal(exporter, Signal::SIGCONT);
        let answer = scrape.join().unwrap();
        assert_eq!(headcount_tests::text::value(answer.text(), "test_requests_total"), Some(1.0));
    });
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
