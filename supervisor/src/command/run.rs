//! `headcount run`: workers, and one scrape for all of them; or only a look at what that would be.

use std::process::ExitCode;

use super::print::print;
use super::{Done, exit_code};
use crate::children::Work;
use crate::cli::RunCommand;
use crate::config::Source;
use crate::master::{Configuration, Master};
use crate::options::RunOptions;
use crate::process::Program;

pub(super) fn run(run: RunCommand) -> Done {
    let options = RunOptions::new(run.args.supervisor)?;
    let program = options.find_program(&run.args.command)?;
    if run.check {
        return check(&options, &program);
    }
    let Some(mut master) = Master::start(options, Work::Execute(program))? else {
        return Ok(ExitCode::SUCCESS);
    };
    let source = Source::of_process();
    master.read_configuration_by(move || {
        let args = source.read()?;
        let options = RunOptions::new(args.supervisor)?;
        let program = options.find_program(&args.command)?;
        Ok(Configuration { options, program })
    });
    supervise(master)
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
