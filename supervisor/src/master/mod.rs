//! The master: one thread, one loop. It waits for signals, notifications and deadlines, tells the
//! [pool](crate::pool) what happened, and performs what that decides.
//!
//! It reads nothing that a worker writes. A worker is buried while its zombie still holds the PID, so
//! that no new process can be taken for it.
//!
//! * `ground`: what it stands on.
//! * `start`: how it begins.
//! * `listen`: what it waits for.
//! * `act`: what the pool decides, done.
//! * `attend`: what goes on beside the pool.
//! * `configure`: what a reload reads anew.
//! * `upgrade`: how it is followed by another.

mod act;
mod attend;
mod configure;
mod ground;
mod listen;
mod start;
mod upgrade;

pub use configure::Configuration;
use configure::Reader;
pub(crate) use ground::Ground;
pub use ground::StartError;

use std::io;
use std::time::Instant;

use headcount_store::directory::{Directory, OwnerLock};
use nix::sys::signalfd::SignalFd;

use crate::address::Address;
use crate::children::Children;
use crate::hooks::{Closure, Hooks, Moment};
use crate::memory::MemoryWatch;
use crate::metrics::SupervisorMetrics;
use crate::notify::NotifySocket;
use crate::options::Fixed;
use crate::pid_file::PidFile;
use crate::pool::{Action, Event, Outcome, Pid, Pool};
use crate::relay::Relay;
use crate::runtime_dir::RuntimeDir;
use crate::systemd::ServiceManager;
/// The running supervisor.
#[derive(Debug)]
pub struct Master<'a> {
    pool: Pool,
    children: Children<'a>,
    directory: Directory,
    lock: OwnerLock,
    notify: NotifySocket,
    signals: SignalFd,
    metrics: SupervisorMetrics,
    service_manager: ServiceManager,
    memory_watch: Option<MemoryWatch>,
    relay: Option<Relay>,
    hooks: Hooks,
    /// Whether all workers have been ready.
    was_ready: bool,
    _pid_file: Option<PidFile>,
    configuration: Option<Reader>,
    /// When it was last known to run.
    awake: Instant,
    /// What no reload changes.
    fixed: Fixed,
    /// Removed last.
    runtime_dir: RuntimeDir,
}

impl Master<'_> {
    /// Where the workers' sockets listen.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &Address)> {
        self.children.sockets.addresses()
    }

    /// Where the merged metrics are served, or the first of these places.
    #[must_use]
    pub fn metrics_address(&self) -> Option<&Address> {
        self.children.exporter_sockets.first().map(|socket| &socket.address)
    }

    pub(crate) fn add_hook(&mut self, moment: Moment, hook: Closure) {
        self.hooks.add(moment, hook);
    }

    /// Gives workers a variable beside those they have.
    pub fn add_environment(&mut self, name: &str, value: String) {
        self.children.environment.push((name.into(), value.into()));
    }

    /// Runs until told to stop, or until it is clear that no worker will ever be ready.
    ///
    /// # Errors
    ///
    /// When the system refuses what the loop itself needs.
    pub fn run(mut self) -> io::Result<Outcome> {
        // First of all, so that it listens when workers begin to print.
        self.attend_relay();
        if !self.was_ready {
            self.call(Moment::OnStarting);
        }
        loop {
            // Workers wait for it; whoever has enough of that does not.
            if (!self.hooks.is_busy(Moment::OnStarting) || self.pool.is_stopping())
                && let Some(outcome) = self.perform()
            {
                self.end(outcome)?;
                return Ok(outcome);
            }
            self.notice_readiness();
            self.attend_relay();
            self.attend_hooks();
            self.steer();
            self.metrics.show(&self.pool, Instant::now());
            self.service_manager.tell(&self.pool, Instant::now());
            self.wait()?;
            self.receive_signals()?;
            self.receive_notifications()?;
            self.bury_the_dead()?;
            self.look_at_memory();
        }
    }

    /// Performs what is to be done, until nothing is.
    fn perform(&mut self) -> Option<Outcome> {
        loop {
            self.notice_stall();
            let now = Instant::now();
            for event in self.pool.elapsed(now) {
                self.record(event);
            }
            let actions = self.pool.plan(now);
            if actions.is_empty() {
                return None;
            }
            for action in actions {
                match action {
                    Action::Start(seat) => self.start_process(seat),
                    Action::Signal(pid, force) => self.signal(pid, force),
                    Action::EndReload(outcome) => self.end_reload(outcome),
                    Action::TakeOver => self.hand_over(),
                    Action::EndUpgrade => self.end_upgrade(),
                    Action::Finish(outcome) => return Some(outcome),
                }
            }
        }
    }

    fn record(&mut self, event: Event) {
        match event {
            Event::Ready(pid) | Event::Presumed(pid) => {
                self.log_of(pid, "ready");
                if !self.pool.is_ready(pid) {
                    self.call_of(Moment::WorkerReady, pid, None);
                }
                if let Some(time) = self.pool.starting_for(pid, Instant::now()) {
                    self.metrics.became_ready(time);
                }
            }
            // A worker may say so with every request.
            Event::Expired(pid, _) if self.pool.serving().any(|serving| serving == pid) => {
                self.log_of(pid, "is to be replaced");
            }
            _ => {}
        }
        self.pool.record(event, Instant::now());
    }

    fn log_of(&self, pid: Pid, message: &str) {
        if let Some(seat) = self.pool.seat_of(pid) {
            tracing::info!(process = %seat, %pid, "{message}");
        }
    }
}
