//! What a merge keeps in memory. It is measured in a process of its own: this program again, with another argument.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use headcount_merge::{Exposition, Format, Merger};
use headcount_store::directory::Directory;

use crate::measure::time;

/// The argument, before that of the directory.
const ARGUMENT: &str = "merge-and-tell";

/// A process that merges whenever it is told to.
pub(super) struct Merging {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What this process is, if it is that one.
pub(crate) fn be_told() -> bool {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, argument, directory, ..] = &*arguments else { return false };
    if argument != ARGUMENT {
        return false;
    }
    let directory = Directory::open(directory.as_ref()).unwrap();
    let (mut merger, own) = (Merger::default().keeping_files_open(), std::process::id());
    let before = anonymous(own);
    for line in std::io::stdin().lines() {
        line.unwrap();
        let took = time(|| {
            let merged = merger.merge(&directory).unwrap();
            // Page by page, as the exporter has it.
            assert!(!merged.pages(&Exposition::new(Format::Text)).is_empty());
        });
        println!("{} {}", took.as_secs_f64(), anonymous(own) - before);
    }
    true
}

impl Merging {
    pub(super) fn start(directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, commands, answers }
    }

    /// How long a merge takes, and what the process has in memory since before the first.
    pub(super) fn scrape(&mut self) -> (Duration, u64) {
        writeln!(self.commands).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let (took, memory) = line.trim().split_once(' ').unwrap();
        (Duration::from_secs_f64(took.parse().unwrap()), memory.parse().unwrap())
    }
}

impl Drop for Merging {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of a process in bytes, files included.
pub(super) fn resident(pid: u32) -> u64 {
    of_status(pid, "VmRSS:")
}

/// Resident memory that is of no file, in bytes.
fn anonymous(pid: u32) -> u64 {
    of_status(pid, "RssAnon:")
}

fn of_status(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
