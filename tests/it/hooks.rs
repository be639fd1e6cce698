//! `headcount run`: commands that are run when something happens.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

const MOMENTS: [&str; 8] = [
    "on_starting",
    "when_ready",
    "pre_fork",
    "post_fork",
    "worker_ready",
    "worker_exit",
    "reload",
    "on_exit",
];

/// A file to which hooks write what they are told.
struct Diary {
    folder: tempfile::TempDir,
}

impl Diary {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("diary")
    }

    /// Options by which every moment is written down.
    fn options(&self) -> Vec<String> {
        let command = format!(
            "echo $HEADCOUNT_HOOK slot=$HEADCOUNT_SLOT pid=$HEADCOUNT_PID generation=$HEADCOUNT_GENERATION \
             reason=$HEADCOUNT_REASON >> {}",
            self.path().display()
        );
        MOMENTS.iter().map(|moment| format!("--hook={moment}={command}")).collect()
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn run(workers: u32, directory: &Path, options: &[String], command: &[&str]) -> Headcount {
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    Headcount::run(workers, directory, &options, command)
}

fn hooks(headcount: &Headcount, hook: &str, outcome: &str) -> f64 {
    let key = format!("headcount_hooks_total{{hook=\"{hook}\",outcome=\"{outcome}\"}}");
    headcount.value(&key).unwrap_or(0.0)
}

#[test]
fn hooks_run_in_the_order_of_what_happens_and_are_told_about_whom() {
    let (directory, diary) = (tempfile::tempdir().unwrap(), Diary::new());
    let mut headcount = run(1, directory.path(), &diary.options(), &[WORKER, "serve"]);
    // A hook that runs is a child, too.
    wait::until_true("all hooks of the start have run", || hooks(&headcount, "when_ready", "success") == 1.0);
    let [first] = headcount.workers().try_into().unwrap();
    process::signal(first, Signal::SIGKILL);
    wait::until_true("another one serves", || hooks(&headcount, "worker_ready", "success") == 2.0);
    let [second] = headcount.workers().try_into().unwrap();
    headcount.signal(Signal::SIGHUP);
    wait::until_true("the old one has ended", || hooks(&headcount, "worker_exit", "success") == 2.0);
    wait::until_true("the new one serves", || hooks(&headcount, "worker_ready", "success") == 3.0);
    let [third] = headcount.workers().try_into().unwrap();
    assert!(headcount.stop().success());
    let lines = diary.lines();
    let (end, reload) = (lines.len() - 1, lines.iter().position(|line| line.starts_with("reload")).unwrap());
    let worker = |moment: &str, slot: u32, pid: u32, generation: u32| {
        format!("{moment} slot={slot} pid={pid} generation={generation} reason=")
    };
    let all = |moment: &str, generation: u32, reason: &str| {
        format!("{moment} slot= pid= generation={generation} reason={reason}")
    };
    let before = "pre_fork slot=0 pid= generation=0 reason=".to_owned();
    let expected = [
        all("on_starting", 0, ""),
        before.clone(),
        worker("post_fork", 0, first, 0),
        worker("worker_ready", 0, first, 0),
        all("when_ready", 0, ""),
        worker("worker_exit", 0, first, 0) + "SIGKILL",
        before,
        worker("post_fork", 0, second, 0),
        worker("worker_ready", 0, second, 0),
        all("reload", 1, ""),
        "pre_fork slot=1 pid= generation=1 reason=".to_owned(),
        worker("post_fork", 1, third, 1),
    ];
    assert_eq!(lines[..expected.len()], expected);
    // The new one serves, and the old one ends: which is noticed first is open.
    let rest = &lines[reload..];
    assert!(rest.contains(&worker("worker_ready", 1, third, 1)), "{lines:?}");
    assert!(rest.contains(&(worker("worker_exit", 0, second, 0) + "success")), "{lines:?}");
    assert!(rest.contains(&(worker("worker_exit", 1, third, 1) + "success")), "{lines:?}");
    assert_eq!(lines[end], all("on_exit", 1, "stopped"));
    assert_eq!(lines.len(), expected.len() + 4);
}

#[test]
fn a_hook_that_fails_is_counted_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        ["--hook=worker_ready=exit 3", "--hook=worker_ready=no-such-command", "--hook=on_starting=false"];
    let options = options.map(str::to_owned);
    let mut headcount = run(2, directory.path(), &options, &[WORKER, "serve"]);
    wait::until_true("all have failed", || hooks(&headcount, "worker_ready", "failure") == 4.0);
    assert_eq!(hooks(&headcount, "on_starting", "failure"), 1.0);
    assert!(headcount.wait_for_line("the hook has failed").contains("code=1"));
    assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
    assert_eq!(headcount.workers().len(), 2);
    assert!(headcount.stop().success());
}

#[test]
fn a_hook_that_hangs_is_killed_with_all_that_it_has_started_and_holds_nobody_up() {
    let (directory, diary) = (tempfile::tempdir().unwrap(), Diary::new());
    let command =
        format!("trap '' TERM; sleep 600 & echo $$ >> {0}; echo $! >> {0}; wait", diary.path().display());
    let options = [format!("--hook=worker_exit={command}"), "--hook-timeout=1s".to_owned()];
    let mut headcount = run(2, directory.path(), &options, &[WORKER, "serve"]);
    process::signal(headcount.workers()[0], Signal::SIGKILL);
    wait::until_true("the hook runs", || diary.lines().len() == 2);
    let hung: Vec<u32> = diary.lines().iter().map(|line| line.parse().unwrap()).collect();
    assert!(hung.iter().all(|&pid| process::is_alive(pid)));
    // Meanwhile the dead one is replaced, and requests are answered.
    let workers = || headcount.workers().into_iter().filter(|pid| !hung.contains(pid)).count();
    wait::until_true("another one runs", || workers() == 2);
    assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
    wait::until_true("it is killed", || hooks(&headcount, "worker_exit", "timeout") == 1.0);
    wait::until_true("so is what it has started", || hung.iter().all(|&pid| !process::is_alive(pid)));
    let _ = headcount.wait_for_line("the hook took too long");
    assert!(headcount.stop().success());
}

#[test]
fn workers_wait_for_the_hook_of_the_start_and_the_supervisor_for_that_of_the_end() {
    let (directory, diary) = (tempfile::tempdir().unwrap(), Diary::new());
    let late =
        |moment: &str| format!("--hook={moment}=sleep 0.5; echo {moment} >> {}", diary.path().display());
    let script = format!("echo worker >> {}; exec {WORKER} serve", diary.path().display());
    let options = [late("on_starting"), late("on_exit")];
    let mut headcount = run(1, directory.path(), &options, &["sh", "-c", &script]);
    assert!(headcount.stop().success());
    assert_eq!(diary.lines(), ["on_starting", "worker", "on_exit"]);
}

#[test]
fn a_hook_of_the_end_that_hangs_is_given_up_and_sooner_if_somebody_is_in_a_hurry() {
    let check = |timeout: &str, signals: &[Signal]| {
        let directory = tempfile::tempdir().unwrap();
        let options = ["--hook=on_exit=sleep 600", &format!("--hook-timeout={timeout}")].map(str::to_owned);
        let mut headcount = run(1, directory.path(), &options, &[WORKER, "serve"]);
        for signal in signals {
            headcount.signal(*signal);
            let _ = headcount.wait_for_line(&format!("signal={signal}"));
        }
        let start = std::time::Instant::now();
        assert!(headcount.wait().success());
        assert!(start.elapsed().as_secs() < 20);
        let _ = headcount.wait_for_line("the hook took too long");
    };
    check("500ms", &[Signal::SIGTERM]);
    check("1h", &[Signal::SIGTERM, Signal::SIGINT]);
}

#[test]
fn what_a_hook_prints_is_printed_and_it_has_nothing_that_is_not_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (output, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(binary::headcount());
    command
        .args(["run", "--workers", "1", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dir"])
        .arg(directory.path())
        .arg(
            "--hook=on_starting=ls -l /proc/self/fd | grep -c -e socket: -e lock -e signalfd; env; echo over",
        )
        .args(["--", WORKER, "serve"])
        .env("NOTIFY_SOCKET", "/nowhere")
        .env_remove("PROMETHEUS_MULTIPROC_DIR")
        .stdout(writer);
    let (mut headcount, _log) = Headcount::spawn_unheard(command);
    let mut lines = BufReader::new(output).lines().map(Result::unwrap);
    let printed: Vec<_> = lines.by_ref().take_while(|line| line != "over").collect();
    assert_eq!(printed[0], "0", "descriptors that are not for it");
    assert!(printed.contains(&"HEADCOUNT_HOOK=on_starting".to_owned()), "{printed:?}");
    assert!(!printed.iter().any(|line| line.starts_with("NOTIFY_SOCKET")), "{printed:?}");
    headcount.wait_until_ready();
    assert!(headcount.stop().success());
}
