//! How a master begins.

use std::time::Instant;

use super::ground::{Ground, system};
use super::{Master, StartError};
use crate::children::{Children, Work};
use crate::environment::worker_environment;
use crate::hooks::Hooks;
use crate::memory::MemoryWatch;
use crate::metrics::SupervisorMetrics;
use crate::options::RunOptions;
use crate::pool::{Event, Pool, ReloadOutcome};
use crate::process::check_threads;
use crate::relay::Relay;
use crate::sockets::Sockets;
use crate::systemd::ServiceManager;

impl<'a> Master<'a> {
    /// Binds the sockets, takes and wipes the directory. Forks nothing yet.
    ///
    /// In a process that a supervisor has executed for its upgrade, takes over from that
    /// instead; `None` if it was only asked whether it could.
    ///
    /// # Errors
    ///
    /// When any of that fails; what was done is undone.
    pub fn start(options: RunOptions, work: Work<'a>) -> Result<Option<Self>, StartError> {
        Ground::lay(&options)?.map(|ground| Self::stand_on(ground, options, work)).transpose()
    }

    /// A master that has its ground already.
    ///
    /// # Errors
    ///
    /// When its own metrics cannot be recorded, or this process has other threads.
    pub(crate) fn stand_on(ground: Ground, options: RunOptions, work: Work<'a>) -> Result<Self, StartError> {
        check_threads()?;
        let fixed = options.fixed();
        let Ground { directory, sockets, notify, left, .. } = ground;
        let Sockets { workers: sockets, exporter: exporter_sockets } = sockets;
        let metrics = SupervisorMetrics::create(directory.path(), &ground.history)?;
        let watchdog = options.policy.watchdog;
        let environment =
            worker_environment(options.environment, directory.path(), notify.path(), &sockets, watchdog);
        for (name, address) in sockets.addresses() {
            tracing::info!(name, %address, "listening");
        }
        for socket in &exporter_sockets {
            tracing::info!(address = %socket.address, "serving metrics");
        }
        let relay = match ground.relay {
            None => options.output.map(Relay::new).transpose(),
            Some(left) => Relay::take_over(left).map(Some),
        };
        let exports = !exporter_sockets.is_empty();
        let pool = match &left {
            None => Pool::new(options.policy, exports),
            Some(left) => Pool::restore(options.policy, left, exports, Instant::now()),
        };
        let mut master = Self {
            pool,
            children: Children {
                work,
                environment,
                sockets,
                exporter_sockets,
                web: options.web,
                max_requests: options.max_requests,
                foreign: options.foreign,
                liveness: options.liveness,
                push: options.push,
                attributes: options.attributes,
                affinity: options.affinity,
                signal_mask: ground.signal_mask,
            },
            directory,
            lock: ground.lock,
            notify,
            signals: ground.signals,
            metrics,
            service_manager: ServiceManager::from_environment(),
            memory_watch: options.max_memory.map(MemoryWatch::new),
            relay: relay.map_err(system("the workers' output"))?,
            hooks: Hooks::new(options.hooks, options.hook_timeout, ground.signal_mask)?,
            was_ready: left.is_some(),
            _pid_file: ground.pid_file,
            configuration: None,
            awake: Instant::now(),
            fixed,
            runtime_dir: ground.runtime_dir,
        };
        if left.is_some() {
            tracing::info!(version = env!("CARGO_PKG_VERSION"), "upgraded");
            master.metrics.upgraded(ReloadOutcome::Success);
            // The workers are still those of the program before.
            master.record(Event::Reload);
        }
        Ok(master)
    }
}
