//! `headcount run`: reloads and scaling.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

/// How many reloads have ended so.
fn reloads(headcount: &Headcount, outcome: &str) -> f64 {
    headcount.value(&format!("headcount_reloads_total{{outcome=\"{outcome}\"}}")).unwrap()
}

fn reload(headcount: &Headcount, outcome: &str) {
    let before = reloads(headcount, outcome);
    headcount.signal(Signal::SIGHUP);
    wait::until_true(format!("a reload ends in {outcome}"), || reloads(headcount, outcome) > before);
}

/// A program that can be changed under the supervisor.
pub(crate) struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    pub(crate) fn new(line: &str) -> Self {
        let script = Self { folder: tempfile::tempdir().unwrap() };
        script.replace(line);
        script
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// Puts another program in its place, as a deployment would.
    pub(crate) fn replace(&self, line: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("#!/bin/sh\n{line}\n")).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, self.path()).unwrap();
    }
}

fn run(workers: u32, directory: &Path, options: &[&str], script: &Script) -> Headcount {
    Headcount::run(workers, directory, options, &[script.path().to_str().unwrap()])
}

fn good() -> String {
    format!("exec {WORKER} serve")
}

#[test]
fn a_reload_under_load_loses_no_request_and_no_count() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(3, directory.path(), &[], &[WORKER, "serve"]);
    let (server, first) = (headcount.server(), headcount.workers());
    let (answered, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = wait::SetAtEnd(&done);
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // One connection a request: nothing is refused, reset or left without an answer.
                    assert_eq!(http::get(&server, "/").unwrap().status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            let before = answered.load(Ordering::Relaxed);
            reload(&headcount, "success");
            wait::until_true("some more are answered", || answered.load(Ordering::Relaxed) > before + 50);
        }
    });
    wait::until_true("the old ones are gone", || {
        headcount.value("headcount_files{client=\"headcount\"}").is_some() && headcount.workers().len() == 3
    });
    assert!(headcount.workers().iter().all(|pid| !first.contains(pid)));
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let answered = answered.load(Ordering::Relaxed) as f64;
    assert_eq!(headcount.value("test_requests_total"), Some(answered));
    assert_eq!(headcount.value("test_alive"), Some(3.0));
}

#[test]
fn workers_that_boot_slowly_are_waited_for_by_nobody_but_the_reload() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::new(&format!("[ $HEADCOUNT_GENERATION = 0 ] || sleep 2; exec {WORKER} serve"));
    let headcount = run(2, directory.path(), &[], &script);
    let (server, old) = (headcount.server(), headcount.workers());
    headcount.signal(Signal::SIGHUP);
    let (mut answered_by_old, mut slowest) = (0, std::time::Duration::ZERO);
    wait::until_true("all have been replaced", || {
        let start = std::time::Instant::now();
        let answer = http::get(&server, "/").unwrap();
        slowest = slowest.max(start.elapsed());
        answered_by_old += u32::from(old.contains(&answer.text().parse().unwrap()));
        reloads(&headcount, "success") == 1.0
    });
    // While the new ones boot, the old ones serve: a client that had to wait for a boot would wait seconds.
    assert!(answered_by_old > 50, "{answered_by_old}");
    assert!(slowest.as_secs() < 1, "{slowest:?}");
}

#[test]
fn a_reload_with_a_broken_program_leaves_the_old_workers_alone() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::new(&good());
    let headcount = run(2, directory.path(), &["--boot-timeout", "1s"], &script);
    let old = headcount.workers();
    // One that ends, one that is no program any more, and one that hangs.
    for broken in ["exit 1", "#!/nowhere\nexec nothing-of-this-name", "exec sleep 600"] {
        script.replace(broken);
        reload(&headcount, "failure");
        wait::until_true("only the old ones are left", || headcount.workers() == old);
        assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
    }
    let _ = headcount.wait_for_line("the reload has failed");
    assert_eq!(reloads(&headcount, "success"), 0.0);
    script.replace(&good());
    reload(&headcount, "success");
    wait::until_true("the new ones are there alone", || {
        let now = headcount.workers();
        now.len() == 2 && now.iter().all(|pid| !old.contains(pid))
    });
    assert!(headcount.value("headcount_last_reload_success_timestamp_seconds") > Some(1e9));
}

#[test]
fn a_reload_reads_the_configuration_anew_and_one_that_is_wrong_changes_nothing() {
    let (directory, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("headcount.toml");
    let configure = |text: &str| std::fs::write(&path, text).unwrap();
    let good = |workers: u32, mood: &str| {
        format!("workers = {workers}\nenv = {{ MOOD = \"{mood}\" }}\ncommand = [\"{WORKER}\", \"serve\"]\n")
    };
    configure(&good(2, "calm"));
    let arguments = ["run", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dir"];
    let config = ["--config", path.to_str().unwrap()];
    let headcount =
        Headcount::start(arguments.iter().chain(&[directory.path().to_str().unwrap()]).chain(&config));
    headcount.wait_until_ready();
    let moods = || -> Vec<String> {
        let mood = |pid: &u32| {
            let environment = String::from_utf8(std::fs::read(format!("/proc/{pid}/environ")).ok()?).ok()?;
            environment.split('\0').find_map(|line| line.strip_prefix("MOOD=")).map(str::to_owned)
        };
        headcount.workers().iter().filter_map(mood).collect()
    };
    assert_eq!(moods(), ["calm", "calm"]);
    let old = headcount.workers();
    let wrong = ["workers = 2 2", "wrokers = 2", "workers = \"many\"", "command = [\"./no-such-program\"]"];
    for wrong in wrong {
        configure(wrong);
        reload(&headcount, "failure");
        assert_eq!((headcount.workers(), moods()), (old.clone(), vec!["calm".to_owned(); 2]));
    }
    let log = headcount.log();
    for named in [path.to_str().unwrap(), "wrokers", "./no-such-program"] {
        assert!(log.contains(named), "{named}");
    }
    configure(&("pid-file = \"/nowhere/pid\"\n".to_owned() + &good(3, "bright")));
    reload(&headcount, "success");
    wait::until_true("all are as they are to be", || moods() == ["bright", "bright", "bright"]);
    let _ = headcount.wait_for_line("has changed, which takes effect at the next start");
    assert_eq!(headcount.value("headcount_workers_wanted"), Some(3.0));
}

#[test]
fn reloads_that_come_fast_become_two_and_workers_know_their_generation() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let generation = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8(environment).unwrap();
        let variable = environment.split('\0').find_map(|line| line.strip_prefix("HEADCOUNT_GENERATION="));
        variable.and_then(|generation| generation.parse::<u64>().ok())
    };
    assert!(headcount.workers().into_iter().all(|pid| generation(pid) == Some(0)));
    for _ in 0..5 {
        headcount.signal(Signal::SIGHUP);
    }
    wait::until_true("reloads have ended", || {
        let done = reloads(&headcount, "success");
        assert!(done <= 2.0, "{done} reloads");
        // Signals that come at once may be one signal.
        let newest = if done == 2.0 { 2 } else { 1 };
        let workers = headcount.workers();
        done > 0.0 && workers.len() == 2 && workers.into_iter().all(|pid| generation(pid) == Some(newest))
    });
}

#[test]
fn a_reload_that_waits_for_a_worker_does_not_hold_up_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::new(&format!("exec {WORKER} stubborn"));
    let mut headcount = run(2, directory.path(), &["--graceful-timeout", "1s"], &script);
    script.replace("exec sleep 600");
    headcount.signal(Signal::SIGHUP);
    wait::until_true("the reload has begun", || headcount.workers().len() == 3);
    let start = std::time::Instant::now();
    assert!(headcount.stop().success());
    assert!(start.elapsed().as_secs() < 10, "the boot time-out is a minute");
}

#[test]
fn workers_are_added_and_taken_away_by_signals() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--graceful-timeout", "500ms"];
    let headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "stubborn"]);
    let first = headcount.workers();
    let expect = |count: usize| {
        wait::until_true(format!("there are {count} workers"), || headcount.workers().len() == count);
    };
    for count in [3, 4] {
        headcount.signal(Signal::SIGTTIN);
        expect(count);
    }
    // They ignore what they are told, and are killed in the end; the oldest stay.
    for count in [3, 2] {
        headcount.signal(Signal::SIGTTOU);
        expect(count);
    }
    assert_eq!(headcount.workers(), first);
}

#[test]
fn what_was_scaled_stays_so_after_a_reload_and_there_is_always_one() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(16, directory.path(), &[], &[WORKER, "serve"]);
    let scale = |signal: Signal, expected: usize| {
        let known = headcount.log().matches("scaling").count();
        headcount.signal(signal);
        wait::until_true("it was heard", || headcount.log().matches("scaling").count() > known);
        let log = headcount.log();
        let last = log.lines().rfind(|line| line.contains("scaling")).unwrap();
        assert!(last.ends_with(&format!("workers={expected}")), "{last}");
    };
    for expected in (1..16).rev().chain([1; 5]) {
        scale(Signal::SIGTTOU, expected);
    }
    wait::until_true("one is left", || headcount.workers().len() == 1);
    let [last] = headcount.workers().try_into().unwrap();
    assert_eq!(slot(last), Some(0), "slots stay low");
    for expected in 2..=4 {
        scale(Signal::SIGTTIN, expected);
    }
    headcount.wait_until_ready();
    reload(&headcount, "success");
    wait::until_true("there are four", || headcount.workers().len() == 4);
    let mut slots: Vec<_> = headcount.workers().into_iter().map(slot).collect();
    slots.dedup();
    assert_eq!(slots.len(), 4, "no slot is held by two");
}

fn slot(pid: u32) -> Option<u32> {
    let environment = String::from_utf8(std::fs::read(format!("/proc/{pid}/environ")).ok()?).ok()?;
    environment.split('\0').find_map(|line| line.strip_prefix("HEADCOUNT_SLOT="))?.parse().ok()
}

#[test]
fn a_worker_that_has_lived_long_enough_is_replaced_without_losing_a_request() {
    all_are_replaced_without_losing_a_request(&["--max-lifetime", "1s"]);
}

#[test]
fn a_worker_that_has_answered_enough_is_replaced_without_losing_a_request() {
    all_are_replaced_without_losing_a_request(&["--max-requests", "20"]);
}

fn all_are_replaced_without_losing_a_request(options: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(2, directory.path(), options, &[WORKER, "serve"]);
    let (server, first) = (headcount.server(), headcount.workers());
    let mut answered = 0;
    wait::until_true("all workers have been replaced", || {
        assert_eq!(http::get(&server, "/").unwrap().status, 200);
        answered += 1;
        headcount.workers().iter().all(|pid| !first.contains(pid))
    });
    // What was counted by those that are gone counts on.
    assert_eq!(headcount.value("test_requests_total"), Some(f64::from(answered)));
    assert_eq!(reloads(&headcount, "success") + reloads(&headcount, "failure"), 0.0);
}

#[test]
fn a_worker_that_has_more_memory_than_it_may_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    // No process has so little.
    let options = ["--max-memory", "100K"];
    let headcount = Headcount::run(1, directory.path(), &options, &[WORKER, "serve"]);
    let first = headcount.workers();
    let _ = headcount.wait_for_line("has more memory than it may");
    wait::until_true("another one serves", || {
        let now = headcount.workers();
        !now.is_empty() && now.iter().all(|pid| !first.contains(pid))
    });
}
