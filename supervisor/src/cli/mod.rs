//! What was typed. What it means is in [`options`](crate::options).

mod hooks;
mod liveness;
mod log;
mod operate;
mod push;
mod run;
mod value;
mod web;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use hooks::HookArgs;
pub use liveness::{LivenessArgs, LivenessBy};
pub use log::LogArgs;
pub use operate::{OwnerArg, ScaleArgs, StatusArgs, TellArgs, TopArgs};
pub use push::{AtExit, PushArgs};
pub use run::{ListenArgs, PoolArgs, RunArgs, SupervisorArgs};
pub use value::{DumpFormat, MetricsAddress};
pub use web::WebArgs;
pub use worker::{CpuAffinity, WorkerArgs, WorkerOutput};

use crate::address::Address;
use value::duration;

/// Runs N copies of a server behind one port, and lets Prometheus scrape them as one process.
#[derive(Debug, Parser)]
#[command(name = "headcount", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How it is logged.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program as several workers, restart them, and serve their merged metrics
    Run(Box<RunCommand>),
    /// Show a supervisor and its workers
    Status(StatusArgs),
    /// Show a supervisor, its workers and the busiest metrics, live; `q` or Ctrl-C ends it
    Top(TopArgs),
    /// Tell a supervisor to replace its workers by new ones, and wait until they serve
    Reload(TellArgs),
    /// Tell a supervisor how many workers there are to be, and wait until they serve
    Scale(ScaleArgs),
    /// Tell a supervisor to stop, and wait until it has
    Stop(TellArgs),
    /// Tell a supervisor to hand over to a new one, and wait until that has taken over
    Upgrade(TellArgs),
    /// Serve the merged metrics of a directory, without workers
    Serve(Box<ServeArgs>),
    /// Merge a directory once and print the result
    Dump(DumpArgs),
    /// Print every entry of a file
    Inspect(InspectArgs),
    /// Say what is wrong in a directory; the exit status is 1 if anything is
    Check(DirArg),
    /// Mark a process dead: its live gauges no longer count, the rest does
    MarkDead(MarkDeadArgs),
    /// Run a small HTTP server with four workers and some traffic, to look at
    Demo(DemoArgs),
    /// Print what a shell needs to complete the command line
    Completions(CompletionsArgs),
    /// Print the manual page of Headcount, or of one of its commands
    Man(ManArgs),
    /// A worker of the demonstration
    #[command(hide = true)]
    DemoWorker,
}

/// How a program is run, and where else than on the command line that is said.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Every flag is also a variable: --max-memory is HEADCOUNT_MAX_MEMORY. A flag goes before a \
                        variable, a variable before the file."
)]
pub struct RunCommand {
    /// How the program is run.
    #[command(flatten)]
    pub args: RunArgs,
    /// Read flags from this file, in TOML: `workers = 4`, `bind = ["127.0.0.1:8000"]`, `command = ["./server"]`
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only check that everything is right, and print what would be run, in the form of such a file
    #[arg(long)]
    pub check: bool,
}

/// Where a directory is served.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// The metrics directory
    #[arg(short, long, env = "PROMETHEUS_MULTIPROC_DIR", value_name = "DIR")]
    pub dir: PathBuf,
    /// Listen here: HOST:PORT, unix:PATH or unix:@NAME; repeatable [default: 127.0.0.1:10042, or nowhere with
    /// --textfile]
    #[arg(long = "web.listen-address", value_name = "ADDR")]
    pub listen: Vec<Address>,
    /// Whose live gauges count.
    #[command(flatten)]
    pub liveness: LivenessArgs,
    /// Where else than to scrapers the metrics go.
    #[command(flatten)]
    pub push: PushArgs,
    /// Where else they go.
    #[command(flatten)]
    pub textfile: TextfileArgs,
    /// How.
    #[command(flatten)]
    pub web: WebArgs,
}

/// Which file is written, and how often.
#[derive(Args, Clone, Debug)]
pub struct TextfileArgs {
    /// Write the metrics to this file, all at once each time, as node-exporter's textfile collector reads it
    #[arg(long, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
    /// How often
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration, requires = "textfile")]
    pub interval: Duration,
}

impl ServeArgs {
    /// Where is listened.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        if self.listen.is_empty() && self.textfile.textfile.is_none() {
            return vec![Address::Tcp(([127, 0, 0, 1], 10042).into())];
        }
        self.listen.clone()
    }
}

/// A directory, by argument or by environment.
#[derive(Args, Debug)]
pub struct DirArg {
    /// The metrics directory
    #[arg(env = "PROMETHEUS_MULTIPROC_DIR", value_name = "DIR")]
    pub dir: PathBuf,
}

/// What is dumped, and where to.
#[derive(Args, Debug)]
pub struct DumpArgs {
    /// The metrics directory
    #[command(flatten)]
    pub dir: DirArg,
    /// Write to this file instead, all at once
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// In which format
    #[arg(short, long, value_enum, default_value_t)]
    pub format: DumpFormat,
    /// Leave histogram buckets as they are in the files, each by itself, and omit the counts
    #[arg(long, conflicts_with = "format")]
    pub no_accumulate: bool,
    /// Have `_created` samples in OpenMetrics, which say since when series are
    #[arg(long, conflicts_with = "no_accumulate")]
    pub created_samples: bool,
}

/// Which files are looked into.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Files of ours, of Python's client or of Ruby's
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One JSON array [key, value, timestamp] a line
    #[arg(long)]
    pub json: bool,
}

/// Who is dead.
#[derive(Args, Debug)]
pub struct MarkDeadArgs {
    /// The process
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: u32,
    /// The metrics directory
    #[command(flatten)]
    pub dir: DirArg,
}

/// The demonstration.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// How many workers to run
    #[arg(short, long, default_value = "4", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Where the server listens; port 0 is a free one
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub bind: Address,
    /// Where the merged metrics are served; port 0 is a free one
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub metrics: Address,
}

/// For which shell.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Which manual page.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// The command [default: all of them, in a line each]
    pub command: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_needs_a_command_after_two_dashes() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        assert!(parse("headcount run --workers 2 -- ./server --port 1").is_ok());
        assert!(parse("headcount run --workers 2").is_err());
        assert!(parse("headcount run --workers 0 -- x").is_err());
        assert!(parse("headcount run --bind admin=unix:/tmp/x --bind :80 -- x").is_ok());
        assert!(
            parse("headcount serve --dir /x --web.listen-address :9 --web.listen-address [::1]:9").is_ok()
        );
    }
}
