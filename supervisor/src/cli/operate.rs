//! The flags of the commands that look at a supervisor and tell it something.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::value::duration;

/// Which supervisor.
#[derive(Args, Debug)]
pub struct OwnerArg {
    /// The supervisor's metrics directory [default: that of the only supervisor without --dir]
    #[arg(short, long, env = "PROMETHEUS_MULTIPROC_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How a supervisor and its workers stand.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Which supervisor.
    #[command(flatten)]
    pub owner: OwnerArg,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What to look at, and for how long.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// Which supervisor.
    #[command(flatten)]
    pub owner: OwnerArg,
    /// The counter of requests [default: http_requests_total, or the first …requests_total]
    #[arg(short, long, value_name = "COUNTER")]
    pub requests: Option<String>,
    /// How often to look
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub interval: Duration,
    /// Look so often and end [default: without end on a terminal, else once]
    #[arg(short = 'n', long, value_name = "N")]
    pub iterations: Option<u64>,
}

/// Whom to tell something, and how long to wait for what comes of it.
#[derive(Args, Debug)]
pub struct TellArgs {
    /// Which supervisor.
    #[command(flatten)]
    pub owner: OwnerArg,
    /// How long to wait for the outcome
    #[arg(short, long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub timeout: Duration,
}

/// How many workers there are to be.
#[derive(Args, Debug)]
pub struct ScaleArgs {
    /// How many workers there are to be
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub workers: u32,
    /// Whom to tell.
    #[command(flatten)]
    pub tell: TellArgs,
}
