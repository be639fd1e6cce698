//! `headcount run`: workers, and one scrape for all of them.

use std::process::ExitCode;

use super::{Done, NEVER_READY};
use crate::cli::RunArgs;
use crate::master::Master;
use crate::options::RunOptions;
use crate::pool::Outcome;

pub(super) fn run(args: RunArgs) -> Done {
    match Master::start(RunOptions::new(args)?)? {
        Some(master) => supervise(master),
        None => Ok(ExitCode::SUCCESS),
    }
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
