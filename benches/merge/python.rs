//! The peer: processes of Python's client that write the same series, and one that merges whenever it is told to.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use headcount_tests::peers;

use super::workers::PER_HISTOGRAM;

/// See the module.
pub(super) struct Python {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Lines of its exposition.
    pub(super) lines: usize,
}

impl Python {
    /// Writes into a directory, and stays there.
    pub(super) fn start(directory: &Path, workers: usize, entries: usize) -> Self {
        let mut child = Command::new(peers::python())
            .args(["-c", include_str!("python.py")])
            .args([workers, entries, PER_HISTOGRAM].map(|number| number.to_string()))
            .env("PROMETHEUS_MULTIPROC_DIR", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut python = Self { child, commands, answers, lines: 0 };
        python.lines = python.answer().parse().unwrap();
        python
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// How long a merge takes, by its own clock.
    pub(super) fn scrape(&mut self) -> Duration {
        writeln!(self.commands).unwrap();
        Duration::from_secs_f64(self.answer().parse().unwrap())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
