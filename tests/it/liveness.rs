//! Whether the processes of Python's client live, told by real ones: seen before, never seen, and not to be seen.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, peers, process, text, wait};
use nix::sys::signal::Signal;

use crate::WORKER;
use crate::namespaces::in_namespace;

/// Sets a live gauge, says its PID, and lives.
const SCRIPT: &str = "import os, time; from prometheus_client import Gauge; \
    Gauge('alive', 'Processes.', multiprocess_mode='livesum').set(1); \
    print(os.getpid(), flush=True); time.sleep(600)";

const ALIVE: &str = "alive";

/// A process of Python's client.
struct Python {
    child: Child,
    /// As it sees it itself.
    pid: u32,
}

impl Python {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(peers::python());
        command.args(["-c", SCRIPT]);
        Self::spawn(command, directory)
    }

    /// In a PID namespace of its own, with this PID there.
    fn start_apart(directory: &Path, pid: u32) -> Self {
        let python = peers::python();
        let last = pid - 1;
        let script =
            format!("echo {last} > /proc/sys/kernel/ns_last_pid; {} -c \"$SCRIPT\" & wait", python.display());
        let mut command = in_namespace(&script);
        command.env("SCRIPT", SCRIPT);
        let python = Self::spawn(command, directory);
        assert_eq!(python.pid, pid);
        python
    }

    fn spawn(mut command: Command, directory: &Path) -> Self {
        command.env("PROMETHEUS_MULTIPROC_DIR", directory).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, pid: line.trim().parse().unwrap() }
    }

    /// Kills it, and in a namespace of its own everything else there.
    fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.end();
    }
}

fn arguments<'a>(directory: &'a Path, liveness: &'a str) -> [&'a str; 7] {
    let directory = directory.to_str().unwrap();
    ["serve", "--dir", directory, "--web.listen-address", "127.0.0.1:0", "--liveness", liveness]
}

fn serve(directory: &Path, liveness: &str) -> Headcount {
    Headcount::start(arguments(directory, liveness))
}

/// A PID that no process has.
fn unused_pid() -> u32 {
    (20_000..30_000).rev().find(|pid| process::state(*pid).is_none()).unwrap()
}

#[test]
fn a_process_that_died_before_the_first_scrape_does_not_count_unless_only_the_hook_is_to_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let (_living, dead) = (Python::start(directory.path()), Python::start(directory.path()));
    let pid = dead.pid.to_string();
    dead.kill();
    for (liveness, alive) in [("auto", 1.0), ("proc", 1.0), ("hook", 2.0)] {
        assert_eq!(serve(directory.path(), liveness).value(ALIVE), Some(alive), "{liveness}");
    }
    let by_hook = serve(directory.path(), "hook");
    let mut mark = Command::new(binary::headcount());
    assert!(mark.args(["mark-dead", &pid]).arg(directory.path()).output().unwrap().status.success());
    assert_eq!(by_hook.value(ALIVE), Some(1.0));
}

#[test]
fn a_process_of_another_namespace_is_dead_when_it_is_and_not_when_its_pid_is_nobodys_here() {
    let directory = tempfile::tempdir().unwrap();
    let pid = unused_pid();
    let apart = Python::start_apart(directory.path(), pid);
    let by_auto = serve(directory.path(), "auto");
    let by_proc = serve(directory.path(), "proc");
    assert_eq!(process::state(pid), None, "nobody has the PID here");
    assert_eq!([by_auto.value(ALIVE), by_proc.value(ALIVE)], [Some(1.0), Some(1.0)]);
    apart.kill();
    wait::until_true("all of the namespace are gone", || by_auto.value(ALIVE).is_none());
    assert_eq!(by_proc.value(ALIVE), None);
}

#[test]
fn an_exporter_in_a_namespace_of_its_own_knows_who_lives_outside() {
    let directory = tempfile::tempdir().unwrap();
    let (living, dead) = (Python::start(directory.path()), Python::start(directory.path()));
    dead.kill();
    for liveness in ["auto", "proc"] {
        let arguments = arguments(directory.path(), liveness).join(" ");
        let headcount =
            Headcount::spawn(in_namespace(&format!("exec {} {arguments}", binary::headcount().display())));
        assert_eq!(headcount.value(ALIVE), Some(1.0), "{liveness}");
    }
    living.kill();
}

#[test]
fn under_a_supervisor_processes_that_are_not_its_own_children_are_judged_too() {
    for (options, left) in [(&[][..], None), (&["--liveness", "hook"], Some(1.0))] {
        let directory = tempfile::tempdir().unwrap();
        let headcount = Headcount::run(1, directory.path(), options, &[WORKER, "serve"]);
        let python = Python::start(directory.path());
        let file = directory.path().join(format!("gauge_livesum_{}.db", python.pid));
        assert!(file.exists());
        python.kill();
        let scraped = headcount.scrape();
        assert_eq!(text::value(&scraped, ALIVE), left, "{options:?}");
        assert_eq!(text::value(&scraped, "test_alive"), Some(1.0), "its own are as they were");
    }
}

#[test]
fn a_worker_that_opens_its_files_while_they_are_looked_at_is_not_held_up_and_does_not_end_the_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let _living = Python::start(directory.path());
    let mut dead = Python::start(directory.path());
    let file = directory.path().join(format!("gauge_livesum_{}.db", dead.pid));
    dead.end();
    let headcount = serve(directory.path(), "auto");
    std::thread::scope(|scope| {
        let opens = scope.spawn(|| {
            for _ in 0..20_000 {
                drop(std::fs::File::options().append(true).open(&file).unwrap());
            }
        });
        while !opens.is_finished() {
            let alive = headcount.value(ALIVE).unwrap();
            assert!(alive == 1.0 || alive == 2.0, "{alive}");
        }
    });
    assert_eq!(headcount.value(ALIVE), Some(1.0));
    let mut headcount = headcount;
    headcount.signal(Signal::SIGTERM);
    assert!(headcount.wait().success());
}
