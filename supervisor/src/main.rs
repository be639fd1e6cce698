//! The binary `headcount`. Everything is in the library.
#![expect(clippy::print_stderr, reason = "what goes wrong is told once, here")]

use std::process::ExitCode;

use clap::Parser;
use headcount_supervisor::cli::Cli;
use headcount_supervisor::{chain, command, log};

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::begin(cli.log.log_format, cli.log.log_level);
    match command::execute(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("headcount: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}
