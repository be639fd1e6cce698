//! In-process prefork: an application that loads once and forks N copies of itself, which share what it has
//! loaded until they write to it.
//!
//! The application is its own supervisor, with the same options and the same behaviour as `headcount run`:
//!
//! ```no_run
//! use clap::Parser;
//! use headcount_supervisor::cli::SupervisorArgs;
//! use headcount_supervisor::prefork::Prefork;
//!
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     supervisor: SupervisorArgs,
//! }
//!
//! fn main() -> Result<std::process::ExitCode, Box<dyn std::error::Error>> {
//!     let prefork = Prefork::new(Cli::parse().supervisor)?;
//!     let model: Vec<u8> = vec![1; 1 << 30];
//!     Ok(prefork.run(|mut worker| {
//!         let listener = worker.take_tcp_listener("http");
//!         worker.ready()?;
//!         // Serve, with the model.
//!         # let _ = (listener, &model);
//!         Ok(())
//!     })?)
//! }
//! ```

use std::error::Error;
use std::io;
use std::process::ExitCode;

use headcount::worker::Worker;

use crate::chain;
use crate::children::Work;
use crate::cli::SupervisorArgs;
use crate::command::exit_code;
use crate::hooks::{Closure, Moment, Occasion};
use crate::master::{Ground, Master, StartError};
use crate::options::RunOptions;
use crate::process::{check_threads, set_environment};

/// A supervisor whose workers are this program.
#[derive(Debug)]
pub struct Prefork {
    options: RunOptions,
    /// `None` in a process that only shows whether a new version of the application could take over.
    ground: Option<Ground>,
    hooks: Vec<(Moment, Closure)>,
}

/// What ends a worker, and is logged.
pub type WorkerError = Box<dyn Error>;

impl Prefork {
    /// Binds the sockets, takes and wipes the metrics directory, and makes it the one of this process: metrics
    /// that are made from here on, before or after the workers are forked, work in every worker.
    ///
    /// Call it before anything else, in particular before metrics are made and threads are started.
    ///
    /// # Errors
    ///
    /// When the arguments make no sense, that cannot be done, or there are threads already; what was done is undone.
    pub fn new(args: SupervisorArgs) -> Result<Self, StartError> {
        check_threads()?;
        let options = RunOptions::new(args)?;
        let ground = Ground::lay(&options)?;
        if let Some(ground) = &ground {
            set_environment(&[("PROMETHEUS_MULTIPROC_DIR".into(), ground.directory().path().into())])?;
        }
        Ok(Self { options, ground, hooks: Vec::new() })
    }

    /// Has something done when something happens, beside the commands of `--hook`, and with the same guarantees: it
    /// runs in a process of its own, which is killed at its deadline, so it can neither stop nor delay the
    /// supervisor. What it changes in memory nobody sees.
    #[must_use]
    pub fn on(mut self, moment: Moment, hook: impl Fn(&Occasion) + 'static) -> Self {
        self.hooks.push((moment, Closure(Box::new(hook))));
        self
    }

    /// Forks workers that call `work`, and supervises them until the end. A worker whose `work` returns an
    /// error, or panics, has failed.
    ///
    /// A reload (`HUP`) forks new workers from what is loaded; an upgrade (`USR2`) loads anew, in this same
    /// process, while the workers go on.
    ///
    /// # Errors
    ///
    /// When this process has other threads by now, or the system refuses what the supervisor needs.
    pub fn run(self, work: impl Fn(Worker) -> Result<(), WorkerError>) -> Result<ExitCode, StartError> {
        let Some(ground) = self.ground else { return Ok(ExitCode::SUCCESS) };
        let call = |worker| match work(worker) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!(error = %chain(&*error), "the worker has failed");
                1
            }
        };
        let mut master = Master::stand_on(ground, self.options, Work::Call(Box::new(call)))?;
        self.hooks.into_iter().for_each(|(moment, hook)| master.add_hook(moment, hook));
        let failed = |source: io::Error| StartError::System { what: "the supervisor's loop", source };
        master.run().map(exit_code).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_refused_and_told_which() {
        // A test runs in a thread of its own.
        let refused = Prefork::new(SupervisorArgs::default()).unwrap_err().to_string();
        let own = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
        assert!(refused.contains("must not fork") && refused.contains(own.trim()), "{refused}");
    }
}
