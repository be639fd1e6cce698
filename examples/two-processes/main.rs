//! One counter, two processes, one sum.
//!
//! The first process starts two others, waits for their end and merges what they have left behind. A
//! process that is gone has still counted.
#![expect(clippy::print_stdout, reason = "the merge is the result")]

use std::error::Error;
use std::process::{Child, Command};

use headcount::Counter;
use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        None => start_and_merge(),
        Some(jobs) => work(jobs.parse()?),
    }
}

fn start_and_merge() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let start = |jobs: &str| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(jobs).env("PROMETHEUS_MULTIPROC_DIR", directory.path()).spawn()
    };
    let children: [Child; 2] = [start("20")?, start("22")?];
    for mut child in children {
        child.wait()?;
    }
    let mut merger = Merger::default();
    let merged = merger.merge(&Directory::open(directory.path())?)?;
    print!("{}", String::from_utf8(merged.to_text(Buckets::Cumulative))?);
    Ok(())
}

fn work(jobs: u32) -> Result<(), Box<dyn Error>> {
    let done = Counter::new("jobs_done", "Jobs that were done.")?;
    for _ in 0..jobs {
        done.inc();
    }
    Ok(())
}
