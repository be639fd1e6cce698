//! PIDs that come again: after one another in a small namespace, or at once in two.

use std::path::Path;
use std::process::{Child, Command};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, text, wait};
use nix::sys::signal::Signal;

use crate::WORKER;
use crate::supervisor::truth_of_all;

/// A command in a PID namespace of its own, as its process 1.
pub(crate) fn in_namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]);
    command.env_remove("PROMETHEUS_MULTIPROC_DIR");
    command
}

/// The kernel's version, as far as it matters here.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn a_pid_that_comes_again_changes_nothing() {
    assert!(kernel() >= (6, 14), "before Linux 6.14, pid_max is the whole system's: not to be touched");
    let (directory, truth) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The least that the kernel allows: it keeps 300 for itself, once they have been used.
    let script = format!(
        "echo 400 > /proc/sys/kernel/pid_max && exec {} run --workers 2 --metrics 127.0.0.1:0 --dir {} -- {WORKER} once {}",
        binary::headcount().display(),
        directory.path().display(),
        truth.path().display(),
    );
    let headcount = Headcount::spawn(in_namespace(&script));
    let metrics = headcount.metrics();
    let mut last = 0.0;
    wait::until_true("PIDs have come again many times", || {
        let scraped = http::get(&metrics, "/metrics").unwrap();
        let now = text::value(scraped.text(), "test_counted_total").unwrap_or(0.0);
        assert!(now >= last, "the sum fell from {last} to {now}");
        let alive = text::value(scraped.text(), "test_alive").unwrap_or(0.0);
        assert!(alive <= 2.0, "{alive} workers are alive");
        last = now;
        now > 600.0
    });
    let pids = std::fs::read_dir(truth.path()).unwrap().count() / 2;
    assert!(pids < 400, "{pids} PIDs are more than there are");
    // No worker is started any more, and none counts.
    let master = headcount_tests::process::children(headcount.pid())[0];
    headcount_tests::process::signal(master, Signal::SIGSTOP);
    wait::until_true("the last workers have ended, and only the exporter is left", || {
        headcount_tests::process::children(master).len() <= 1
    });
    let scraped = http::get(&metrics, "/metrics").unwrap();
    let counted = text::value(scraped.text(), "test_counted_total").unwrap();
    let (before, after) = truth_of_all(truth.path());
    headcount_tests::process::signal(master, Signal::SIGKILL);
    assert_eq!(before, after);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let after = after as f64;
    assert_eq!(counted, after);
}

/// A worker as process 1 of a namespace of its own.
struct Held(Child);

impl Held {
    fn start(directory: &Path, n: u32) -> Self {
        let mut command = in_namespace(&format!("exec {WORKER} hold {n}"));
        Self(command.env("PROMETHEUS_MULTIPROC_DIR", directory).spawn().unwrap())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its child goes with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_namespaces_with_the_same_pids_share_a_directory_and_both_count() {
    let directory = tempfile::tempdir().unwrap();
    let first = Held::start(directory.path(), 3);
    let _second = Held::start(directory.path(), 4);
    let serve = ["serve", "--dir", directory.path().to_str().unwrap(), "--web.listen-address", "127.0.0.1:0"];
    let headcount = Headcount::start(serve);
    wait::until_true("both are alive", || headcount.value("test_alive") == Some(2.0));
    let scraped = headcount.scrape();
    assert_eq!(text::value(&scraped, "test_held_total"), Some(7.0));
    let each: Vec<_> =
        text::samples(&scraped).into_iter().filter(|(key, _)| key.starts_with("test_each")).collect();
    assert_eq!(each.len(), 2, "{each:?}");
    assert_eq!(each.iter().map(|(_, value)| value).sum::<f64>(), 7.0);
    assert!(each.iter().any(|(key, _)| key == "test_each{pid=\"1\"}"), "{each:?}");
    // The death of one is not taken for the other's.
    drop(first);
    wait::until_true("one is alive", || headcount.value("test_alive") == Some(1.0));
    assert_eq!(headcount.value("test_held_total"), Some(7.0));
}
