//! `headcount mark-dead`: what Python's `mark_process_dead` does, for every client's files.
#![expect(clippy::print_stdout, reason = "what was done is the result")]

use std::path::PathBuf;
use std::process::ExitCode;

use headcount_store::directory::Directory;

use super::Done;
use crate::cli::MarkDeadArgs;

/// A process that is alive is not marked dead: it would go on writing where nobody reads.
#[derive(Debug, thiserror::Error)]
#[error("process {pid} is alive: nothing was changed. Stop it first, or name the one that died")]
struct Alive {
    pid: u32,
}

pub(super) fn mark_dead(args: &MarkDeadArgs) -> Done {
    let directory = Directory::open(&args.dir.dir)?;
    if is_alive(args.pid) {
        return Err(Alive { pid: args.pid }.into());
    }
    let buried = directory.bury(args.pid)?;
    println!(
        "process {}: {} files kept as a dead process's, {} removed",
        args.pid, buried.renamed, buried.removed
    );
    Ok(ExitCode::SUCCESS)
}

/// A zombie is dead: whoever is about to reap it may call this.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat")));
    let state = stat.ok().and_then(|line| line.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()));
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
