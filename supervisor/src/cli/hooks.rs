//! The flags of hooks.

use std::time::Duration;

use clap::Args;

use super::value::duration;
use crate::hooks::Hook;

/// What is run when something happens.
#[derive(Args, Clone, Debug)]
pub struct HookArgs {
    /// Run a shell command when something happens: on_starting, when_ready, pre_fork, post_fork, worker_ready,
    /// worker_exit, reload or on_exit; repeatable
    #[arg(long = "hook", value_name = "EVENT=COMMAND")]
    pub hook: Vec<Hook>,
    /// A hook that takes longer is killed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub hook_timeout: Duration,
}
