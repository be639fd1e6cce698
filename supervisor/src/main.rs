//! The binary `headcount`. Everything is in the library.
#![expect(clippy::print_stderr, reason = "what goes wrong is told once, here")]

use std::process::ExitCode;

use headcount_supervisor::config::{ConfigError, Source};
use headcount_supervisor::{chain, command, log};

/// What was typed, or is configured, is wrong.
const MISTAKE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Source::of_process().cli() {
        Ok(cli) => cli,
        // Also what was asked for by `--help`.
        Err(ConfigError::Usage(usage)) => usage.exit(),
        Err(error) => {
            eprintln!("headcount: {}", chain(&error));
            return ExitCode::from(MISTAKE);
        }
    };
    log::begin(cli.log.log_format, cli.log.log_level);
    match command::execute(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("headcount: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}
