//! A running `headcount`, which is stopped at the end of the test whatever happens.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, PipeReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{binary, http, process, text, wait};

/// The path of the worker program of these tests, which their own binary knows.
pub type Worker = &'static str;

/// `headcount` in the background.
#[derive(Debug)]
pub struct Headcount {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Headcount {
    /// Starts `headcount` with these arguments.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(binary::headcount());
        command.args(arguments).env_remove("PROMETHEUS_MULTIPROC_DIR");
        Self::spawn(command)
    }

    /// Starts a prepared command.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this process does not fork")]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line))
        });
        Self { child, log }
    }

    /// Starts a prepared command and hears what it logs until it serves metrics. From then on nobody reads its
    /// log, unless the test does.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or never serves metrics.
    #[must_use]
    pub fn spawn_unheard(mut command: Command) -> (Self, BufReader<PipeReader>) {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = command.stderr(writer).spawn().unwrap();
        // It has the other writing end.
        drop(command);
        let (mut reader, mut log) = (BufReader::new(reader), Vec::new());
        let is_last = |line: &String| line.contains("serving metrics");
        while !log.last().is_some_and(is_last) {
            let mut line = String::new();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it has ended: {log:?}");
            log.push(line.trim_end().to_owned());
        }
        (Self { child, log: Arc::new(Mutex::new(log)) }, reader)
    }

    /// Starts `headcount run` on free ports, in `directory`, and waits until all workers are ready.
    ///
    /// # Panics
    ///
    /// When they never are.
    #[must_use]
    pub fn run(workers: u32, directory: &Path, options: &[&str], command: &[&str]) -> Self {
        Self::run_program(binary::headcount(), workers, directory, options, command)
    }

    /// The same with another copy of `headcount`.
    ///
    /// # Panics
    ///
    /// When the workers are never ready.
    #[must_use]
    pub fn run_program(
        program: impl AsRef<OsStr>,
        workers: u32,
        directory: &Path,
        options: &[&str],
        command: &[&str],
    ) -> Self {
        let mut headcount = Command::new(program);
        headcount.args(["run", "--workers", &workers.to_string(), "--bind", "127.0.0.1:0"]);
        headcount.args(["--metrics", "127.0.0.1:0", "--dir"]).arg(directory).args(options);
        headcount.arg("--").args(command).env_remove("PROMETHEUS_MULTIPROC_DIR");
        let headcount = Self::spawn(headcount);
        headcount.wait_until_ready();
        headcount
    }

    /// Waits until as many workers are ready as are to be.
    ///
    /// # Panics
    ///
    /// When they never are.
    pub fn wait_until_ready(&self) {
        let address = self.metrics();
        wait::until_true("all workers are ready", || {
            let Ok(answer) = http::get(&address, "/metrics") else { return false };
            let workers = |state: &str| {
                text::value(answer.text(), &format!("headcount_workers{{state=\"{state}\"}}")).unwrap_or(0.0)
            };
            workers("ready") > 0.0
                && workers("starting") + workers("backing_off") + workers("stopping") == 0.0
        });
    }

    /// The supervisor's PID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What was logged so far.
    ///
    /// # Panics
    ///
    /// Never, unless a thread of this test has.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits for a line of the log that contains `part`.
    ///
    /// # Panics
    ///
    /// When there never is one.
    #[must_use]
    pub fn wait_for_line(&self, part: &str) -> String {
        let find = || self.log.lock().unwrap().iter().find(|line| line.contains(part)).cloned();
        wait::until(format!("`{part}` in the log"), find)
    }

    /// The address of the first socket of the workers.
    #[must_use]
    pub fn server(&self) -> String {
        address(&self.wait_for_line("listening"))
    }

    /// The address at which the metrics are served.
    #[must_use]
    pub fn metrics(&self) -> String {
        address(&self.wait_for_line("serving metrics"))
    }

    /// Scrapes once.
    ///
    /// # Panics
    ///
    /// When there is no answer, or it is not 200.
    #[must_use]
    pub fn scrape(&self) -> String {
        let answer = http::get(&self.metrics(), "/metrics").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().to_owned()
    }

    /// Scrapes once, for one sample.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<f64> {
        text::value(&self.scrape(), key)
    }

    /// The PIDs of the living workers: all children but those that do not exec.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        let own = process::command_line(self.pid());
        process::children(self.pid()).into_iter().filter(|&pid| process::command_line(pid) != own).collect()
    }

    /// The PIDs of the living workers of an application that is its own supervisor: those without a name of
    /// their own.
    #[must_use]
    pub fn forked_workers(&self) -> Vec<u32> {
        process::children(self.pid())
            .into_iter()
            .filter(|&pid| process::name(pid).as_deref() != Some("headcount-exp"))
            .collect()
    }

    /// The PID of the living exporter.
    ///
    /// # Panics
    ///
    /// When there never is one.
    #[must_use]
    pub fn exporter(&self) -> u32 {
        self.child_called("headcount-exp")
    }

    /// The PID of the living process that passes on what workers print.
    ///
    /// # Panics
    ///
    /// When there never is one.
    #[must_use]
    pub fn relay(&self) -> u32 {
        self.child_called("headcount-log")
    }

    fn child_called(&self, name: &str) -> u32 {
        let is_called = |pid: &u32| process::name(*pid).as_deref() == Some(name);
        wait::until(format!("{name} runs"), || process::children(self.pid()).into_iter().find(is_called))
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Waits for the supervisor's end.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        wait::until("the supervisor ends", || self.child.try_wait().unwrap())
    }

    /// Tells the supervisor to stop, and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Headcount {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let children = process::children(self.pid());
            let _ = self.child.kill();
            let _ = self.child.wait();
            // Workers go with their master, but for those that do not listen.
            for pid in children.into_iter().filter(|&pid| process::is_alive(pid)) {
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
        }
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a test that fails shows what the supervisor said")]
            {
                eprintln!("--- log of headcount ---\n{}", self.log());
            }
        }
    }
}

fn address(line: &str) -> String {
    // Either as address=… or as "address":"…".
    let value = line.split_once("address").unwrap().1.trim_start_matches(['"', '=', ':']);
    value.split([' ', '"']).next().unwrap().to_owned()
}
