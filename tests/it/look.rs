//! `headcount status` and `headcount top`: a supervisor as its directory and `/proc` show it.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, wait};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::termios::tcgetattr;

use crate::WORKER;
use crate::operate::{headcount as said, stderr, stdout, tell};

/// Asks a server for something again and again, while `look` looks.
fn under_load<T>(server: &str, look: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = http::get(server, "/");
            }
        });
        let seen = catch_unwind(AssertUnwindSafe(look));
        done.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The rows of workers that `headcount status` prints.
fn rows(status: &str) -> Vec<Vec<&str>> {
    let rows = status.lines().skip_while(|line| !line.contains("SLOT")).skip(1);
    rows.map(|row| row.split_whitespace().collect()).collect()
}

#[test]
fn the_status_is_a_supervisor_and_its_workers_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let status = || {
        let shown = said(&["status", "--dir", path]);
        assert_eq!((shown.status.code(), stderr(&shown)), (Some(0), ""));
        stdout(&shown).to_owned()
    };
    let first = status();
    assert!(first.starts_with(&format!("headcount, PID {}: up ", headcount.pid())), "{first}");
    assert!(first.contains("generation 0, 2 of 2 workers ready\nlast reload: none\n"), "{first}");
    let mut workers = headcount.workers();
    let victim = workers[0];
    process::signal(victim, Signal::SIGKILL);
    wait::until_true("another one is ready", || {
        workers = headcount.workers();
        let shown = status();
        let shown = rows(&shown);
        let pids: Vec<u32> = shown.iter().filter_map(|row| row[1].parse().ok()).collect();
        !workers.contains(&victim)
            && shown.len() == 2
            && shown.iter().all(|row| row[2] == "ready" && row[3] == "0" && row[6].ends_with('M'))
            && workers.iter().all(|pid| pids.contains(pid))
    });
    assert_eq!(rows(&status()).iter().filter(|row| row[7] == "1").count(), 1, "{}", status());
    assert_eq!(tell(&["reload"], directory.path()).0, Some(0));
    assert!(status().contains("generation 1, 2 of 2 workers ready"), "{}", status());
    assert!(status().contains("last reload: succeeded "), "{}", status());

    let json = said(&["status", "--json", "--dir", path]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["supervisor"]["pid"], headcount.pid());
    assert_eq!(json["supervisor"]["wanted_workers"], 2);
    assert_eq!(json["supervisor"]["reloads"]["success"], 1);
    let serving = json["workers"].as_array().unwrap().iter().filter(|worker| worker["state"] == "ready");
    for worker in serving {
        assert!(worker["resident_bytes"].as_u64() > Some(100_000), "{worker}");
        assert!(headcount.workers().iter().any(|&pid| worker["pid"] == pid), "{worker}");
    }
}

#[test]
fn a_supervisor_without_a_directory_of_the_operators_is_found_by_itself() {
    let headcount = Headcount::start(["run", "-w", "1", "--metrics", "none", "--", "sleep", "600"]);
    let line = headcount.wait_for_line("metrics directory");
    let path = line.rsplit_once("path=").unwrap().1.split(' ').next().unwrap();
    let shown = said(&["status"]);
    // Others may run at the same time: then it is one of those to choose from.
    let is_named = stdout(&shown).contains(&format!("PID {}: up", headcount.pid()));
    assert!(is_named || stderr(&shown).contains(path), "{}{}", stdout(&shown), stderr(&shown));
}

#[test]
fn the_top_shows_what_workers_and_families_do_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let look = |options: &[&str]| {
        let shown = said(&[&["top", "--dir", path, "--interval", "1s"], options].concat());
        assert_eq!((shown.status.code(), stderr(&shown)), (Some(0), ""));
        stdout(&shown).to_owned()
    };
    let shown = under_load(&headcount.server(), || look(&["-n", "2"]));
    assert_eq!(shown.matches("headcount, PID").count(), 2);
    let last = &shown[shown.rfind("headcount, PID").unwrap()..];
    assert!(last.contains("2 of 2 workers ready"), "{last}");
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{text} in {last}"));
    let line = last.lines().find_map(|line| line.strip_prefix("test_requests_total: ")).unwrap();
    let all = number(line.strip_suffix(" a second").unwrap());
    assert!(all > 0.0, "{last}");
    let (workers, families) = last.split_once("BUSIEST FAMILIES").unwrap();
    let by_worker: Vec<_> = rows(workers.trim_end()).iter().map(|row| number(row[8])).collect();
    assert!(by_worker.len() == 2 && by_worker.iter().sum::<f64>() > 0.0, "{last}");
    assert!(families.lines().nth(1).unwrap().starts_with("test_requests_total "), "{last}");
    // Nobody asks for anything any more.
    let idle = look(&[]);
    assert!(idle.contains("test_requests_total: 0.0 a second\n"), "{idle}");
    let other = look(&["--requests", "headcount_starts_total"]);
    assert!(other.contains("headcount_starts_total: 0.0 a second\n"), "{other}");
}

#[test]
fn the_top_ends_by_a_key_and_leaves_the_terminal_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(1, directory.path(), &[], &[WORKER, "serve"]);
    for end in ["xq", "\x03"] {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let side = || std::process::Stdio::from(terminal.slave.try_clone().unwrap());
        let before = tcgetattr(&terminal.slave).unwrap();
        // A terminal of its own, whose Ctrl-C is for it.
        let mut top = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(binary::headcount())
            .args(["top", "--dir", directory.path().to_str().unwrap()])
            .stdin(side())
            .stdout(side())
            .spawn()
            .unwrap();
        fcntl(&terminal.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let screen = std::fs::File::from(terminal.master);
        let mut seen = String::new();
        let mut wait_for = |part: &str| {
            wait::until_true(part, || {
                let mut bytes = [0; 4096];
                let len = (&screen).read(&mut bytes).unwrap_or(0);
                seen.push_str(&String::from_utf8_lossy(&bytes[..len]));
                seen.contains(part)
            });
        };
        wait_for("1 of 1 workers ready");
        assert_ne!(tcgetattr(&terminal.slave).unwrap(), before);
        (&screen).write_all(end.as_bytes()).unwrap();
        // Back from the other screen.
        wait_for("\x1b[?1049l");
        assert!(wait::until("it ends", || top.try_wait().unwrap()).success());
        assert_eq!(tcgetattr(&terminal.slave).unwrap(), before);
    }
    assert!(process::is_alive(headcount.pid()));
}
