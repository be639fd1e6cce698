//! The flags that say what workers are: as whom they run, where, with what.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::mask;
use crate::environment::Variable;
use crate::limits::Limit;

/// What workers are before the program begins.
#[derive(Args, Clone, Debug)]
pub struct WorkerArgs {
    /// Run workers and the exporter as this user (name or number), with the user's groups. Sockets are bound
    /// before
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Run workers and the exporter in this group (name or number) [default: the user's]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Run workers in this folder, and find the program from there
    #[arg(long, value_name = "DIR")]
    pub chdir: Option<PathBuf>,
    /// Which permissions files that workers create lack, such as 027
    #[arg(long, value_name = "MASK", value_parser = mask)]
    pub umask: Option<u32>,
    /// Set a variable for workers; repeatable
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<Variable>,
    /// Limit what a worker may use, such as nofile=65536 or core=0:unlimited (soft and hard); repeatable
    #[arg(long = "rlimit", value_name = "NAME=[SOFT:]HARD")]
    pub rlimit: Vec<Limit>,
    /// On which processors workers run
    #[arg(long, value_name = "HOW", value_enum, default_value = "none")]
    pub cpu_affinity: CpuAffinity,
    /// What becomes of what workers print
    #[arg(long, value_name = "HOW", value_enum, default_value = "inherit")]
    pub worker_output: WorkerOutput,
    /// Neither workers nor what they start can gain privileges, as by setuid programs
    #[arg(long)]
    pub no_new_privs: bool,
}

/// How workers are spread over the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CpuAffinity {
    /// As the system chooses
    None,
    /// Each slot on one of those that the supervisor may use, in turn
    Slot,
}

/// What becomes of what workers print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkerOutput {
    /// They print to where the supervisor prints to
    Inherit,
    /// Each line is passed on with the worker's slot and PID before it
    Prefix,
    /// Each line is passed on as a JSON object with the keys ts, slot, pid, stream and line
    Json,
}
