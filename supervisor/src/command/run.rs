//! `headcount run`: workers, and one scrape for all of them.

use std::process::ExitCode;

use super::{Done, exit_code};
use crate::children::Work;
use crate::cli::RunArgs;
use crate::master::Master;
use crate::options::RunOptions;
use crate::process::Program;

pub(super) fn run(args: RunArgs) -> Done {
    let work = Work::Execute(Program::find(&args.command)?);
    match Master::start(RunOptions::new(args.supervisor), work)? {
        Some(master) => supervise(master),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Runs a supervisor to its end.
pub(super) fn supervise(master: Master<'_>) -> Done {
    Ok(exit_code(master.run()?))
}
