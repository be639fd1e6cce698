//! `headcount run` as a service: what it tells systemd, and what workers tell it.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

/// The end of the protocol that is systemd's.
pub(crate) struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { socket, folder }
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("notify")
    }

    fn run(&self, directory: &std::path::Path, options: &[&str], worker: &str) -> Headcount {
        let mut command = Command::new(binary::headcount());
        command
            .args(["run", "--workers", "2", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dir"])
            .arg(directory)
            .args(options)
            .args(["--", WORKER, worker])
            .env("NOTIFY_SOCKET", self.path())
            .env("WATCHDOG_USEC", "200000");
        Headcount::spawn(command)
    }

    /// The lines of the next message.
    fn lines(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let len = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).lines().map(str::to_owned).collect()
    }

    /// What comes next that is neither a status nor a sign of life.
    pub(crate) fn next(&self) -> String {
        loop {
            let mut lines = self.lines();
            lines.retain(|line| !line.starts_with("STATUS=") && line != "WATCHDOG=1");
            if !lines.is_empty() {
                return lines.join("\n");
            }
        }
    }

    pub(crate) fn waits_for(&self, wanted: &str) {
        wait::until_true(wanted, || self.lines().iter().any(|line| line == wanted));
    }
}

#[test]
fn a_service_manager_is_told_the_truth() {
    let (manager, directory) = (Manager::new(), tempfile::tempdir().unwrap());
    let mut headcount = manager.run(directory.path(), &[], "serve");
    assert_eq!(manager.next(), "READY=1");
    assert_eq!(headcount.value("headcount_workers{state=\"ready\"}"), Some(2.0), "not before they are");
    for _ in 0..3 {
        manager.waits_for("WATCHDOG=1");
    }
    headcount.signal(Signal::SIGHUP);
    let reloading = manager.next();
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    assert!(since.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.next(), "READY=1");
    headcount.signal(Signal::SIGTERM);
    assert_eq!(manager.next(), "STOPPING=1");
    assert!(headcount.wait().success());
}

#[test]
fn a_service_manager_that_waits_for_a_reload_hears_of_one_that_cannot_be() {
    let (manager, directory) = (Manager::new(), tempfile::tempdir().unwrap());
    let config = manager.folder.path().join("headcount.toml");
    std::fs::write(&config, "surge = 1\n").unwrap();
    let headcount = manager.run(directory.path(), &["--config", config.to_str().unwrap()], "serve");
    assert_eq!(manager.next(), "READY=1");
    std::fs::write(&config, "surge = 0\n").unwrap();
    headcount.signal(Signal::SIGHUP);
    assert!(manager.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(manager.next(), "READY=1");
    let _ = headcount.wait_for_line("the configuration is not used");
}

#[test]
fn a_master_that_is_stuck_does_not_say_that_it_is_alive() {
    let (manager, directory) = (Manager::new(), tempfile::tempdir().unwrap());
    let headcount = manager.run(directory.path(), &[], "serve");
    manager.waits_for("READY=1");
    headcount.signal(Signal::SIGSTOP);
    wait::until_true("it is stopped", || process::state(headcount.pid()) == Some('T'));
    manager.socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // What it said before; and then, for many times the interval, nothing.
    let mut said = 0;
    while manager.socket.recv(&mut [0; 4096]).is_ok() {
        said += 1;
    }
    assert!(said < 5, "{said}");
    headcount.signal(Signal::SIGCONT);
    manager.waits_for("WATCHDOG=1");
}

#[test]
fn a_service_manager_that_does_not_listen_holds_nobody_up() {
    let (manager, directory) = (Manager::new(), tempfile::tempdir().unwrap());
    let mut headcount = manager.run(directory.path(), &[], "serve");
    headcount.wait_until_ready();
    // Its queue is full when there is room for no more, not even for this test's own message.
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"full", manager.path()).is_ok() {}
    for _ in 0..2 {
        headcount.signal(Signal::SIGHUP);
    }
    wait::until_true("a reload ends", || {
        headcount.value("headcount_reloads_total{outcome=\"success\"}") >= Some(1.0)
    });
    assert!(headcount.stop().success());
}

#[test]
fn a_worker_that_hangs_is_aborted_or_killed_and_replaced_and_others_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--watchdog", "1s"];
    let headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "serve"]);
    let [stopped, lively] = headcount.workers().try_into().unwrap();
    // A stopped process does not get the signal to abort.
    process::signal(stopped, Signal::SIGSTOP);
    wait::until_true("it is killed", || !process::is_alive(stopped));
    wait::until_true("it is replaced", || headcount.workers().len() == 2);
    headcount.wait_until_ready();
    assert!(headcount.workers().contains(&lively));
    let hung = headcount.value("headcount_exits_total{process=\"worker\",reason=\"hung\"}");
    assert_eq!(hung, Some(1.0));
    let _ = headcount.wait_for_line("signal=SIGKILL");
}

#[test]
fn workers_are_not_taken_to_hang_because_their_master_was_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(4, directory.path(), &["--watchdog", "1s"], &[WORKER, "serve"]);
    let workers = headcount.workers();
    for _ in 0..3 {
        headcount.signal(Signal::SIGSTOP);
        // Longer than they have, and than the socket keeps what they say.
        std::thread::sleep(Duration::from_secs(2));
        headcount.signal(Signal::SIGCONT);
        let before = headcount.value("headcount_starts_total{process=\"worker\"}");
        // It has looked at them: a worker that hangs would be aborted and replaced.
        headcount.signal(Signal::SIGTTIN);
        wait::until_true("it goes on", || {
            headcount.value("headcount_starts_total{process=\"worker\"}") > before
        });
    }
    assert!(workers.iter().all(|&pid| process::is_alive(pid)));
    assert!(!headcount.log().contains("aborting"), "{}", headcount.log());
}

#[test]
fn a_worker_that_never_says_that_it_is_alive_is_aborted() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--watchdog", "300ms"];
    let headcount = Headcount::run(1, directory.path(), &options, &[WORKER, "hold", "1"]);
    wait::until_true("it is aborted", || {
        headcount.value("headcount_exits_total{process=\"worker\",reason=\"hung\"}") >= Some(1.0)
    });
    let _ = headcount.wait_for_line("signal=SIGABRT");
}
