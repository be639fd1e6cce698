//! The flag of what tells that a peer's process is dead.

use clap::{Args, ValueEnum};
use headcount_merge::Liveness;

/// Whose live gauges count, among processes of other clients that are not this supervisor's own.
#[derive(Args, Clone, Copy, Debug)]
pub struct LivenessArgs {
    /// What tells that a process of Python's or Ruby's client is dead, whose files nobody has buried
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub liveness: LivenessBy,
}

/// What tells that a process is dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LivenessBy {
    /// Nobody has its files open any more
    #[default]
    Auto,
    /// The same, and there is no process of its PID, or only a younger one
    Proc,
    /// Only `headcount mark-dead`, or the client's own function
    Hook,
}

impl From<LivenessBy> for Liveness {
    fn from(by: LivenessBy) -> Self {
        match by {
            LivenessBy::Auto => Self::Auto,
            LivenessBy::Proc => Self::Proc,
            LivenessBy::Hook => Self::Hook,
        }
    }
}
