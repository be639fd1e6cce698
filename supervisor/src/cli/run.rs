//! The flags of `run`, in the groups in which an application that is its own supervisor takes them over.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};

use super::hooks::HookArgs;
use super::liveness::LivenessArgs;
use super::push::PushArgs;
use super::value::{MetricsAddress, duration, size};
use super::web::WebArgs;
use super::worker::WorkerArgs;
use crate::address::NamedAddress;
use crate::sockets::{Mode, Owner};

/// How a program is run.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// How it is supervised.
    #[command(flatten)]
    pub supervisor: SupervisorArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Everything but the program.
#[derive(Args, Clone, Debug)]
pub struct SupervisorArgs {
    /// How workers are kept.
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Where they listen, and where their metrics go.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// How these are served.
    #[command(flatten)]
    pub web: WebArgs,
    /// What they are.
    #[command(flatten)]
    pub worker: WorkerArgs,
    /// What is run when something happens.
    #[command(flatten)]
    pub hooks: HookArgs,
    /// Whose live gauges count.
    #[command(flatten)]
    pub liveness: LivenessArgs,
    /// Where else than to scrapers the metrics go.
    #[command(flatten)]
    pub push: PushArgs,
    /// Write the supervisor's PID to this file, and remove it at the end
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
}

impl Default for SupervisorArgs {
    /// What the command line has when it says nothing, whatever the environment says.
    fn default() -> Self {
        let command = Self::augment_args(Command::new("headcount")).mut_args(|arg| arg.env(None::<&str>));
        let nothing = command.get_matches_from([""]);
        Self::from_arg_matches(&nothing).expect("no flag is required")
    }
}

/// How workers are kept.
#[derive(Args, Clone, Debug)]
pub struct PoolArgs {
    /// How many workers to run [default: one for each processor]
    #[arg(short, long, env = "WEB_CONCURRENCY", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub workers: Option<u32>,
    /// How long a worker may take to finish its requests when it is told to stop
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub graceful_timeout: Duration,
    /// A worker that does not say READY=1 is taken to be ready when it has lived for so long; once one has
    /// said it, all are expected to
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub ready_after: Duration,
    /// A worker that is not ready by then is killed, and counts as failed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub boot_timeout: Duration,
    /// A worker that does not say WATCHDOG=1 for so long is taken to hang: it is aborted, then killed, and
    /// replaced. Workers are told by WATCHDOG_USEC [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub watchdog: Option<Duration>,
    /// A worker that has lived for so long, less up to a fifth, is replaced [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub max_lifetime: Option<Duration>,
    /// A worker that has counted so many requests, less up to a fifth, is replaced. It has to count them: with
    /// Worker::count_requests, or X_HEADCOUNT_EXPIRED=1 after HEADCOUNT_MAX_REQUESTS of them [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_requests: Option<u64>,
    /// A worker with more resident memory than this is replaced, such as 512M or 2G [default: none]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_memory: Option<u64>,
    /// How many workers a reload may start beside the old ones at a time
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub surge: u32,
}

/// Where workers listen, and where their metrics go.
#[derive(Args, Clone, Debug)]
pub struct ListenArgs {
    /// Listen here and pass the socket to every worker (LISTEN_FDS); repeatable. HOST:PORT, unix:PATH or
    /// unix:@NAME, with NAME= before it for a name other than http. Not bound if systemd has passed a socket
    /// of that name
    #[arg(short, long, value_name = "[NAME=]ADDR")]
    pub bind: Vec<NamedAddress>,
    /// How many connections may wait to be accepted, if the system allows as many
    #[arg(long, value_name = "N", default_value = "2048", value_parser = clap::value_parser!(u32).range(1..=65535))]
    pub backlog: u32,
    /// How long to wait for an address that is taken
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub bind_timeout: Duration,
    /// Give each worker a queue of its own at each TCP port (SO_REUSEPORT), not one for all
    #[arg(long)]
    pub reuse_port: bool,
    /// The permissions of Unix sockets, such as 0660 [default: all that the umask leaves]
    #[arg(long, value_name = "MODE")]
    pub unix_mode: Option<Mode>,
    /// Whose the Unix sockets are: USER, USER:GROUP or :GROUP [default: this process's]
    #[arg(long, value_name = "OWNER")]
    pub unix_owner: Option<Owner>,
    /// Serve the merged metrics here; repeatable; `none` to serve none
    #[arg(
        short,
        long,
        visible_alias = "web.listen-address",
        value_name = "ADDR",
        default_value = "127.0.0.1:10042"
    )]
    pub metrics: Vec<MetricsAddress>,
    /// The metrics directory, which is wiped first [default: a new one in memory, removed at the end]
    #[arg(short, long, env = "PROMETHEUS_MULTIPROC_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Leave the files of dead processes of Python's and Ruby's clients as they are: for applications that
    /// read them themselves, with Python's MultiProcessCollector or the like
    #[arg(long)]
    pub no_fold_foreign: bool,
}

#[cfg(test)]
mod tests {
    use super::super::liveness::LivenessBy;
    use super::super::worker::CpuAffinity;
    use super::*;

    #[test]
    fn without_a_command_line_there_are_the_documented_defaults() {
        let SupervisorArgs { pool, listen, web, worker, hooks, liveness, push, pid_file } =
            SupervisorArgs::default();
        assert_eq!((pool.workers, pool.surge), (None, 1));
        assert_eq!(pool.graceful_timeout, Duration::from_secs(30));
        let metrics: Vec<_> =
            listen.metrics.into_iter().map(|metrics| metrics.0.unwrap().to_string()).collect();
        assert_eq!(metrics, ["127.0.0.1:10042"]);
        assert_eq!((web.telemetry_path.as_str(), web.max_requests), ("/metrics", 100));
        assert_eq!((listen.dir, pid_file, worker.user), (None, None, None));
        assert_eq!((worker.cpu_affinity, liveness.liveness), (CpuAffinity::None, LivenessBy::Auto));
        assert_eq!((push.gateway, push.push_job.as_str()), (None, "headcount"));
        assert_eq!((hooks.hook, hooks.hook_timeout), (Vec::new(), Duration::from_secs(10)));
    }
}
