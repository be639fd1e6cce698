//! `headcount run`: workers, and one scrape for all of them; or only a look at what that would be.

use std::process::ExitCode;

use super::print::print;
use super::{Done, NEVER_READY};
use crate::cli::RunCommand;
use crate::config::Source;
use crate::master::Master;
use crate::options::RunOptions;
use crate::pool::Outcome;

pub(super) fn run(run: RunCommand) -> Done {
    let options = RunOptions::new(run.args)?;
    if run.check {
        return check(&options);
    }
    supervise(Master::start(options)?)
}

/// Everything that can be told without binding a socket or starting anything is right.
fn check(options: &RunOptions) -> Done {
    let title = format!("# {} workers of {}\n", options.policy.workers, options.program.path().display());
    print(title + &Source::of_process().resolve()?.to_toml())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a supervisor to its end.
pub(super) fn supervise(master: Master) -> Done {
    Ok(match master.run()? {
        Outcome::Stopped => ExitCode::SUCCESS,
        Outcome::NeverReady => {
            tracing::error!("no worker has ever been ready: giving up");
            ExitCode::from(NEVER_READY)
        }
    })
}
