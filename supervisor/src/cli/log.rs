//! The flags of the log, which all subcommands have.

use clap::Args;

use crate::log::{LogFormat, LogLevel};

/// How the log is written.
#[derive(Args, Clone, Copy, Debug)]
pub struct LogArgs {
    /// How log lines are written
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value = "logfmt", global = true)]
    pub log_format: LogFormat,
    /// From where on events are logged
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value = "info", global = true)]
    pub log_level: LogLevel,
}
