//! `headcount run`: workers, and one scrape for all of them; or only a look at what that would be.

use std::process::ExitCode;

use super::print::print;
use super::{Done, exit_code};
use crate::children::Work;
use crate::cli::RunCommand;
use crate::config::Source;
use crate::master::Master;
use crate::options::RunOptions;
use crate::process::Program;

pub(super) fn run(run: RunCommand) -> Done {
    let options = RunOptions::new(run.args.supervisor)?;
    let program = options.find_program(&run.args.command)?;
    if run.check {
        return check(&options, &program);
    }
    match Master::start(options, Work::Execute(program))? {
        Some(master) => supervise(master),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Everything that can be told without binding a socket or starting anything is right.
fn check(options: &RunOptions, program: &Program) -> Done {
    let title = format!("# {} workers of {}\n", options.policy.workers, program.path().display());
    print(title + &Source::of_process().resolve()?.to_toml())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a supervisor to its end.
pub(super) fn supervise(master: Master<'_>) -> Done {
    Ok(exit_code(master.run()?))
}
