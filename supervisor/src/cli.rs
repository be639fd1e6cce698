//! What was typed. What it means is in [`options`](crate::options).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::address::{Address, NamedAddress};

/// Runs N copies of a server behind one port, and lets Prometheus scrape them as one process.
#[derive(Debug, Parser)]
#[command(name = "headcount", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program as several workers, restart them, and serve their merged metrics
    Run(RunArgs),
    /// Serve the merged metrics of a directory, without workers
    Serve(ServeArgs),
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
    /// A worker of the demonstration
    #[command(hide = true)]
    DemoWorker,
}

/// How workers are run.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// How many workers to run [default: one for each processor]
    #[arg(short, long, env = "WEB_CONCURRENCY", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub workers: Option<u32>,
    /// Listen here and pass the socket to every worker (LISTEN_FDS); repeatable. HOST:PORT or unix:PATH,
    /// with NAME= before it for a name other than http
    #[arg(short, long, value_name = "[NAME=]ADDR")]
    pub bind: Vec<NamedAddress>,
    /// Serve the merged metrics here; `none` to serve none
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1:10042")]
    pub metrics: MetricsAddress,
    /// The metrics directory, which is wiped first [default: a new one in memory, removed at the end]
    #[arg(short, long, env = "PROMETHEUS_MULTIPROC_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How long a worker may take to finish its requests when it is told to stop
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub graceful_timeout: Duration,
    /// A worker that does not say READY=1 is taken to be ready when it has lived for so long; once one has
    /// said it, all are expected to
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub ready_after: Duration,
    /// A worker that is not ready by then is killed, and counts as failed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub boot_timeout: Duration,
    /// A worker that does not say WATCHDOG=1 for so long is taken to hang: it is aborted, then killed, and
    /// replaced. Workers are told by WATCHDOG_USEC [default: none]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub watchdog: Option<Duration>,
    /// A worker that has lived for so long, less up to a fifth, is replaced [default: none]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub max_lifetime: Option<Duration>,
    /// A worker with more resident memory than this is replaced, such as 512M or 2G [default: none]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_memory: Option<u64>,
    /// How many workers a reload may start beside the old ones at a time
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub surge: u32,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<std::ffi::OsString>,
}

/// Where a directory is served.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// The metrics directory
    #[arg(short, long, env = "PROMETHEUS_MULTIPROC_DIR", value_name = "DIR")]
    pub dir: PathBuf,
    /// Listen here; repeatable
    #[arg(long = "web.listen-address", value_name = "ADDR", default_value = "127.0.0.1:10042")]
    pub listen: Vec<Address>,
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
    /// Leave histogram buckets as they are in the files, each by itself, and omit the counts
    #[arg(long)]
    pub no_accumulate: bool,
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

/// An address, or none.
#[derive(Clone, Debug)]
pub struct MetricsAddress(pub Option<Address>);

impl std::str::FromStr for MetricsAddress {
    type Err = crate::address::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

/// A time such as `30s`, `500ms`, `2m` or `1h`; a bare number is seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit `{unit}` (the units are ms, s, m, h)")),
    };
    let seconds =
        number.parse::<f64>().map_err(|_| "expected a time such as 30s or 500ms".to_owned())? * scale;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time <= MAX_TIME)
        .ok_or_else(|| "longer than a day".to_owned())
}

/// A size such as `512M`, `2G` or `800K`; a bare number is bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(format!("unknown unit `{unit}` (the units are K, M, G)")),
    };
    let number: u64 = number.parse().map_err(|_| "expected a size such as 512M".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more than there can be".to_owned())
}

const MAX_TIME: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        let check =
            |text, milliseconds| assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)));
        check("30", 30_000);
        check("1.5s", 1500);
        check("250ms", 250);
        check("2m", 120_000);
        check("1h", 3_600_000);
        for bad in ["", "s", "5d", "-1s", "1e3s", "48h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("512M"), Ok(512 << 20));
        assert_eq!(parse_size("2G"), Ok(2 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in ["", "M", "1.5G", "5T", "-1K", "99999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
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
