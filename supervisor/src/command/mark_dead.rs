//! `headcount mark-dead`: what Python's `mark_process_dead` does, for every client's files.
#![expect(clippy::print_stdout, reason = "what was done is the result")]

use std::process::ExitCode;

use headcount_store::directory::Directory;
use headcount_store::process::start_time;

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
    // A zombie is dead: whoever is about to reap it may call this.
    if start_time(args.pid).is_some() {
        return Err(Alive { pid: args.pid }.into());
    }
    let buried = directory.bury(args.pid)?;
    println!(
        "process {}: {} files kept as a dead process's, {} removed",
        args.pid, buried.renamed, buried.removed
    );
    Ok(ExitCode::SUCCESS)
}
