//! `headcount run`: another supervisor takes this one's place.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

/// A supervisor's program that can be changed while it runs.
struct Installed {
    folder: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let installed = Self { folder: tempfile::tempdir().unwrap() };
        installed.install();
        installed
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("headcount")
    }

    fn install(&self) {
        self.replace(|new| std::os::unix::fs::symlink(binary::headcount(), new).unwrap());
    }

    fn install_script(&self, text: &str) {
        self.replace(|new| {
            std::fs::write(new, text).unwrap();
            std::fs::set_permissions(new, std::fs::Permissions::from_mode(0o755)).unwrap();
        });
    }

    fn replace(&self, put: impl FnOnce(&Path)) {
        let new = self.folder.path().join("new");
        put(&new);
        std::fs::rename(new, self.path()).unwrap();
    }

    fn run(&self, directory: &Path, options: &[&str]) -> Headcount {
        Headcount::run_program(self.path(), 2, directory, options, &[WORKER, "serve"])
    }
}

fn upgrades(headcount: &Headcount, outcome: &str) -> Option<f64> {
    headcount.value(&format!("headcount_upgrades_total{{outcome=\"{outcome}\"}}"))
}

#[test]
fn an_upgrade_under_load_loses_no_request_and_no_count() {
    let (installed, directory) = (Installed::new(), tempfile::tempdir().unwrap());
    let mut headcount = installed.run(directory.path(), &[]);
    let (server, first, exporter) = (headcount.server(), headcount.workers(), headcount.exporter());
    let started = headcount.value("headcount_start_time_seconds");
    let (answered, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = wait::SetAtEnd(&done);
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(http::get(&server, "/").unwrap().status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (mut requests, mut starts) = (0.0, 0.0);
        for upgrade in 1..=2 {
            installed.install();
            headcount.signal(Signal::SIGUSR2);
            wait::until_true("the upgrade and its reload have ended", || {
                let text = headcount.scrape();
                let value = |key| headcount_tests::text::value(&text, key).unwrap_or(0.0);
                // Scraped all the while: nothing that was counted is ever less.
                let now = (value("test_requests_total"), value("headcount_starts_total{process=\"worker\"}"));
                assert!(now.0 >= requests && now.1 >= starts, "{now:?} after {requests}, {starts}");
                (requests, starts) = now;
                value("headcount_upgrades_total{outcome=\"success\"}") == f64::from(upgrade)
                    && value("headcount_reloads_total{outcome=\"success\"}") == f64::from(upgrade)
            });
        }
    });
    wait::until_true("the old ones are gone", || {
        let workers = headcount.workers();
        workers.len() == 2 && workers.iter().all(|pid| !first.contains(pid))
    });
    wait::until_true("the exporter is a new one", || headcount.exporter() != exporter);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let answered = answered.load(Ordering::Relaxed) as f64;
    assert_eq!(headcount.value("test_requests_total"), Some(answered));
    assert_eq!(headcount.value("test_alive"), Some(2.0));
    assert_eq!(headcount.value("headcount_start_time_seconds"), started);
    assert!(process::command_line(headcount.pid()).contains("run"), "the same process");
    assert!(headcount.stop().success());
}

#[test]
fn an_upgrade_to_a_program_that_cannot_go_on_changes_nothing() {
    let (installed, directory) = (Installed::new(), tempfile::tempdir().unwrap());
    let headcount = installed.run(directory.path(), &["--boot-timeout", "1s"]);
    let before = (headcount.workers(), headcount.exporter());
    // One that crashes, one that is none, one that hangs.
    let broken = ["#!/bin/sh\nkill -SEGV $$\n", "#!/nowhere\n", "#!/bin/sh\nexec sleep 600\n"];
    for (failed, script) in (1..).zip(broken) {
        installed.install_script(script);
        headcount.signal(Signal::SIGUSR2);
        wait::until_true("it has failed", || upgrades(&headcount, "failure") == Some(f64::from(failed)));
        assert_eq!((headcount.workers(), headcount.exporter()), before);
        assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
    }
    let told = || {
        let mut command = std::process::Command::new(binary::headcount());
        let output = command.arg("upgrade").arg("--dir").arg(directory.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = told();
    assert!(code == Some(1) && said.contains("the upgrade has failed"), "{said}");
    installed.install();
    assert_eq!(told(), (Some(0), String::new()));
    assert_eq!(upgrades(&headcount, "success"), Some(1.0));
}

#[test]
fn an_upgrade_takes_over_sockets_of_every_kind() {
    let (installed, directory) = (Installed::new(), tempfile::tempdir().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let bind = format!("local=unix:{}", path.display());
    let mut headcount = installed.run(directory.path(), &["--reuse-port", "--bind", &bind]);
    let (server, before) = (headcount.server(), std::fs::metadata(&path).unwrap());
    for _ in 0..20 {
        assert_eq!(http::get(&server, "/").unwrap().status, 200);
    }
    headcount.signal(Signal::SIGUSR2);
    wait::until_true("upgrade and reload have ended", || {
        assert_eq!(http::get(&server, "/").unwrap().status, 200);
        headcount.value("headcount_reloads_total{outcome=\"success\"}") == Some(1.0)
    });
    assert_eq!(upgrades(&headcount, "success"), Some(1.0));
    // Each of the new workers has a queue, and none of the old ones is left with requests in it.
    for _ in 0..50 {
        assert_eq!(http::get(&server, "/").unwrap().status, 200);
    }
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), before.ino(), "the same file");
    assert!(headcount.stop().success());
    assert!(!path.exists());
}

#[test]
fn an_upgrade_keeps_what_was_scaled_and_the_directory_of_its_own() {
    let installed = Installed::new();
    let mut command = std::process::Command::new(installed.path());
    command.args(["run", "-w", "1", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--"]);
    command.args([WORKER, "serve"]).env_remove("PROMETHEUS_MULTIPROC_DIR");
    let mut headcount = Headcount::spawn(command);
    headcount.wait_until_ready();
    headcount.signal(Signal::SIGTTIN);
    wait::until_true("two are ready", || headcount.value("headcount_workers{state=\"ready\"}") == Some(2.0));
    let line = headcount.wait_for_line("metrics directory");
    let directory = PathBuf::from(line.split("path=").nth(1).unwrap().split(' ').next().unwrap());
    assert!(directory.is_dir());
    headcount.signal(Signal::SIGUSR2);
    wait::until_true("it was upgraded", || upgrades(&headcount, "success") == Some(1.0));
    headcount.wait_until_ready();
    assert_eq!(headcount.workers().len(), 2);
    assert!(headcount.stop().success());
    assert!(!directory.exists(), "removed at the end all the same");
}
