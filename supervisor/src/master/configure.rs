//! What a reload reads anew, and what stays as it was when the supervisor was started.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use super::Master;
use crate::attributes::Attributes;
use crate::chain;
use crate::children::Work;
use crate::environment::worker_environment;
use crate::hooks::Moment;
use crate::memory::MemoryWatch;
use crate::options::RunOptions;
use crate::pool::{Event, ReloadOutcome};
use crate::process::Program;

/// How the program is to be run, as it is written down now.
#[derive(Debug)]
pub struct Configuration {
    /// All but the program.
    pub options: RunOptions,
    /// What workers execute.
    pub program: Program,
}

/// Whoever reads the configuration.
pub(super) struct Reader(Box<dyn Fn() -> Result<Configuration, Box<dyn Error>>>);

impl Master<'_> {
    /// Reads the configuration anew at each reload. One that cannot be read, or makes no sense, fails the reload.
    pub fn read_configuration_by(
        &mut self,
        read: impl Fn() -> Result<Configuration, Box<dyn Error>> + 'static,
    ) {
        self.configuration = Some(Reader(Box::new(read)));
    }

    pub(super) fn reload(&mut self) {
        let configuration = self.configuration.as_ref().map(|Reader(read)| read()).transpose();
        let applied = configuration.and_then(|read| read.map_or(Ok(()), |read| self.apply(read)));
        match applied {
            Ok(()) => {
                self.record(Event::Reload);
                self.call(Moment::Reload);
                tracing::info!(generation = self.pool.generation(), "reloading");
            }
            Err(error) => {
                tracing::error!(error = chain(&*error), "the configuration is not used");
                if self.pool.is_reloading() {
                    // The one that goes on is none of this one's business.
                    self.metrics.reloaded(ReloadOutcome::Failure);
                }
                self.record(Event::ReloadRefused);
                // The service manager waits for the beginning, and for the end.
                self.service_manager.tell(&self.pool, Instant::now());
            }
        }
    }

    fn apply(&mut self, configuration: Configuration) -> Result<(), Box<dyn Error>> {
        let Configuration { options, program } = configuration;
        for what in self.fixed.differences(&options) {
            tracing::warn!(what, "has changed, which takes effect at the next start");
        }
        let (directory, notify) = (self.directory.path(), self.notify.path());
        let (sockets, watchdog) = (&self.children.sockets, options.policy.watchdog);
        self.hooks.replace(options.hooks, options.hook_timeout)?;
        self.children.environment =
            worker_environment(options.environment, directory, notify, sockets, watchdog);
        let identity = self.children.attributes.identity.clone();
        self.children.attributes = Attributes { identity, ..options.attributes };
        self.children.affinity = options.affinity;
        self.children.max_requests = options.max_requests;
        self.children.work = Work::Execute(program);
        self.memory_watch = options.max_memory.map(MemoryWatch::new);
        self.record(Event::Configured(options.policy));
        Ok(())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader(..)")
    }
}
