//! What was typed, and what it means: checked, found, bound to nothing yet.

use std::path::PathBuf;
use std::time::Duration;

use headcount_merge::Foreign;

use crate::address::{Address, NamedAddress};
use crate::cli::{RunArgs, SupervisorArgs};
use crate::pool::Policy;
use crate::process::{Program, ProgramError};

/// How long an impatient operator waits.
const HURRY_TIMEOUT: Duration = Duration::from_secs(2);
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
const GIVE_UP_AFTER: u32 = 5;

/// Everything that a run needs to know.
#[derive(Debug)]
pub struct RunOptions {
    /// What the workers run.
    pub program: Program,
    /// How the pool is kept.
    pub policy: Policy,
    /// How much resident memory a worker may have, in bytes.
    pub max_memory: Option<u64>,
    /// Where workers listen.
    pub bind: Vec<NamedAddress>,
    /// Where the merged metrics are served.
    pub metrics: Option<Address>,
    /// The metrics directory; `None` for one of the supervisor's own.
    pub directory: Option<PathBuf>,
    /// What becomes of Python's and Ruby's files when their processes are dead.
    pub foreign: Foreign,
}

impl RunOptions {
    /// Checks what was typed.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn new(args: RunArgs) -> Result<Self, ProgramError> {
        let RunArgs { supervisor: SupervisorArgs { pool, listen }, command } = args;
        let workers = pool.workers.unwrap_or_else(|| {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            u32::try_from(processors).unwrap_or(1)
        });
        Ok(Self {
            program: Program::find(&command)?,
            policy: Policy {
                workers,
                ready_after: pool.ready_after,
                boot_timeout: pool.boot_timeout,
                watchdog: pool.watchdog,
                max_lifetime: pool.max_lifetime,
                surge: pool.surge,
                graceful_timeout: pool.graceful_timeout,
                hurry_timeout: HURRY_TIMEOUT,
                healthy_after: HEALTHY_AFTER,
                give_up_after: GIVE_UP_AFTER,
            },
            max_memory: pool.max_memory,
            bind: listen.bind,
            metrics: listen.metrics.0,
            // A worker may change its folder.
            directory: listen.dir.map(|path| std::path::absolute(&path).unwrap_or(path)),
            foreign: if listen.no_fold_foreign { Foreign::Leave } else { Foreign::Fold },
        })
    }
}
