//! The subcommands, a file each: what was typed becomes a call, what it returns becomes an exit status.

mod check;
mod demo;
mod dump;
mod generate;
mod inspect;
mod look;
mod mark_dead;
mod print;
mod run;
mod serve;
mod tell;

use std::error::Error;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::pool::Outcome;

/// What a subcommand ends with, unless it fails in a way that is told in one line.
pub type Done = Result<ExitCode, Box<dyn Error>>;

/// The supervisor has given up: no worker has ever been ready.
pub const NEVER_READY: u8 = 3;

/// The exit status of a supervisor.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Stopped => ExitCode::SUCCESS,
        Outcome::NeverReady => {
            tracing::error!("no worker has ever been ready: giving up");
            ExitCode::from(NEVER_READY)
        }
    }
}

/// Does what was asked for.
///
/// # Errors
///
/// When it cannot be done; the error's chain says why.
pub fn execute(cli: Cli) -> Done {
    match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Status(args) => look::status(&args),
        Command::Top(args) => look::top(&args),
        Command::Reload(args) => tell::reload(&args),
        Command::Scale(args) => tell::scale(&args),
        Command::Stop(args) => tell::stop(&args),
        Command::Upgrade(args) => tell::upgrade(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Dump(args) => dump::dump(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Check(args) => check::check(&args),
        Command::MarkDead(args) => mark_dead::mark_dead(&args),
        Command::Demo(args) => demo::demo(args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::DemoWorker => demo::work(),
    }
}
