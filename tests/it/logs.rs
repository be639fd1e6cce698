//! The log of `headcount`, and what workers print: in the form that was asked for, and never in anybody's way.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, PipeReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, process, text, wait};
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

/// Workers count as ready only once they say so, however long they print before.
const PATIENT: [&str; 4] = ["--worker-output", "prefix", "--ready-after", "1h"];

/// A supervisor whose output can be read, and whose log goes the way of its output's second half.
struct Printing {
    headcount: Headcount,
    output: BufReader<PipeReader>,
    log: BufReader<PipeReader>,
}

impl Printing {
    /// Workers run `script` in a shell.
    fn start(directory: &std::path::Path, options: &[&str], script: &str) -> Self {
        let (output, writer) = std::io::pipe().unwrap();
        let mut command = command(directory, options, &["sh", "-c", script]);
        command.stdout(writer);
        let (headcount, log) = Headcount::spawn_unheard(command);
        Self { headcount, output: BufReader::new(output), log }
    }

    /// Everything that is still to be read from both, once the supervisor has ended.
    fn rest(self) -> (Vec<String>, Vec<String>) {
        let lines = |reader: BufReader<PipeReader>| reader.lines().map(Result::unwrap).collect();
        drop(self.headcount);
        (lines(self.output), lines(self.log))
    }
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

/// Waits until so many workers serve, and no others are there.
fn wait_for_workers(headcount: &Headcount, count: f64) {
    wait::until_true(format!("{count} workers serve"), || {
        let scraped = headcount.scrape();
        let workers = |state: &str| text::value(&scraped, &format!("headcount_workers{{state=\"{state}\"}}"));
        (workers("ready"), workers("stopping")) == (Some(count), Some(0.0))
    });
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
    wait_for_workers(&headcount, 3.0);
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

#[test]
fn what_workers_print_comes_with_slot_and_pid_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("echo begins; echo fails >&2; printf half; exec {WORKER} serve");
    let options = ["--worker-output", "prefix"];
    let mut printing = Printing::start(directory.path(), &options, &script);
    let headcount = &mut printing.headcount;
    headcount.wait_until_ready();
    headcount.signal(Signal::SIGTTIN);
    wait_for_workers(headcount, 3.0);
    let workers = headcount.workers();
    assert!(headcount.stop().success());
    let (output, log) = printing.rest();
    for (slot, pid) in workers.iter().enumerate() {
        let count = |lines: &[String], text: &str| {
            let wanted = format!("worker {slot}[{pid}]: {text}");
            lines.iter().filter(|line| **line == wanted).count()
        };
        assert_eq!((count(&output, "begins"), count(&output, "half")), (1, 1), "{output:?}");
        assert_eq!(count(&log, "fails"), 1, "{log:?}");
    }
    assert_eq!(output.len(), 6, "{output:?}");
}

#[test]
fn what_workers_print_comes_as_json_objects() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("echo 'say \"x\"'; echo fails >&2; exec {WORKER} serve");
    let options = ["--worker-output", "json", "--log.format", "json"];
    let mut printing = Printing::start(directory.path(), &options, &script);
    printing.headcount.wait_until_ready();
    let workers = printing.headcount.workers();
    assert!(printing.headcount.stop().success());
    let (output, log) = printing.rest();
    let parse = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let (output, log): (Vec<_>, Vec<_>) =
        (output.iter().map(parse).collect(), log.iter().map(parse).collect());
    for (slot, pid) in workers.iter().enumerate() {
        let has = |lines: &[serde_json::Value], stream: &str, text: &str| {
            let is_it = |line: &&serde_json::Value| {
                line["slot"] == slot
                    && line["pid"] == *pid
                    && line["stream"] == stream
                    && line["line"] == text
            };
            lines.iter().filter(is_it).count() == 1
        };
        assert!(has(&output, "stdout", "say \"x\""), "{output:?}");
        assert!(has(&log, "stderr", "fails"), "{log:?}");
    }
    // The supervisor's own lines are among them, and are told apart.
    assert!(log.iter().any(|line| line["msg"] == "ready"));
}

#[test]
fn workers_that_print_while_nobody_reads_go_on_serving() {
    let directory = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let printed = folder.path().join("printed");
    // Much more than a pipe and the relay hold, before it serves.
    let script = format!(
        "head -c 8000000 /dev/zero | tr '\\0' x | fold -w 999 && echo done >> {} && exec {WORKER} serve",
        printed.display()
    );
    let mut printing = Printing::start(directory.path(), &PATIENT, &script);
    let headcount = &mut printing.headcount;
    headcount.wait_until_ready();
    assert_eq!(std::fs::read_to_string(&printed).unwrap(), "done\ndone\n");
    assert_eq!(headcount_tests::http::get(&headcount.server(), "/").unwrap().status, 200);
    headcount.signal(Signal::SIGHUP);
    wait::until_true("it is reloaded", || {
        headcount.value("headcount_reloads_total{outcome=\"success\"}") == Some(1.0)
    });
    assert!(headcount.stop().success());
    let (output, _) = printing.rest();
    // As much as the pipe took at least, in whole lines.
    assert!(output.len() > 50);
    let is_whole = |line: &String| line.split_once("]: ").is_some_and(|(_, line)| !line.is_empty());
    assert!(output.iter().rev().skip(1).all(is_whole));
}

#[test]
fn once_somebody_reads_again_what_waited_comes_and_the_log_says_how_much_was_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("seq 1 200000; echo over; exec {WORKER} serve");
    let mut printing = Printing::start(directory.path(), &PATIENT, &script);
    printing.headcount.wait_until_ready();
    let (mut lines, mut overs) = (0_u64, 0);
    let mut text = String::new();
    // Both workers are done; what waits comes in order, up to where it was dropped.
    let dropped = std::thread::scope(|scope| {
        let log = scope.spawn(|| {
            let mut dropped = 0;
            for line in (&mut printing.log).lines().map(Result::unwrap) {
                let count = line.split_once("was dropped\" lines=").map(|(_, count)| count.to_owned());
                dropped += count.map_or(0, |count| count.parse::<u64>().unwrap());
            }
            dropped
        });
        let headcount = &mut printing.headcount;
        headcount.signal(Signal::SIGTERM);
        while printing.output.read_line(&mut text).unwrap() > 0 {
            lines += 1;
            overs += u32::from(text.ends_with("]: over\n"));
            text.clear();
        }
        assert!(headcount.wait().success());
        log.join().unwrap()
    });
    assert_eq!(lines + dropped, 2 * 200_001);
    assert!(dropped > 0 && lines > 10_000 && overs <= 2, "{lines} {dropped}");
}

#[test]
fn a_killed_relay_comes_back_to_the_same_workers() {
    let directory = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (wait_for, script) =
        (folder.path().join("go"), "while [ ! -e \"$GO\" ]; do sleep 0.01; done; echo after");
    let options = ["--worker-output", "prefix", "--env", &format!("GO={}", wait_for.display())];
    let script = format!("echo before; ({script}) & exec {WORKER} serve");
    let mut printing = Printing::start(directory.path(), &options, &script);
    let headcount = &mut printing.headcount;
    headcount.wait_until_ready();
    let (workers, relay) = (headcount.workers(), headcount.relay());
    process::signal(relay, Signal::SIGKILL);
    wait::until_true("another relay runs", || headcount.relay() != relay);
    std::fs::write(&wait_for, "").unwrap();
    let mut found = Vec::new();
    while found.len() < 4 {
        let mut line = String::new();
        assert_ne!(printing.output.read_line(&mut line).unwrap(), 0);
        found.push(line.trim_end().to_owned());
    }
    assert_eq!(headcount.workers(), workers);
    let expected = workers
        .iter()
        .enumerate()
        .flat_map(|(slot, pid)| ["before", "after"].map(|text| format!("worker {slot}[{pid}]: {text}")));
    assert!(expected.into_iter().all(|line| found.contains(&line)), "{found:?}");
    assert!(headcount.stop().success());
}

#[test]
fn the_relay_goes_when_its_master_and_all_workers_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("exec {WORKER} serve");
    let mut printing = Printing::start(directory.path(), &["--worker-output", "prefix"], &script);
    printing.headcount.wait_until_ready();
    let all = process::children(printing.headcount.pid());
    assert_eq!(all.len(), 4);
    printing.headcount.signal(Signal::SIGKILL);
    printing.headcount.wait();
    wait::until_true("everybody is gone", || all.iter().all(|&pid| !process::is_alive(pid)));
}
