//! The master: one thread, one loop. It waits for signals, notifications and deadlines, tells the
//! [pool](crate::pool) what happened, and performs what that decides.
//!
//! It reads nothing that a worker writes. A worker is buried while its zombie still holds the PID, so
//! that no new process can be taken for it.
//!
//! `ground` is what it stands on, `start` brings it to life, `upgrade` hands it on.

mod configure;
mod ground;
mod start;
mod upgrade;

pub use configure::Configuration;
use configure::Reader;
pub(crate) use ground::Ground;
pub use ground::StartError;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use headcount_store::directory::{Directory, OwnerLock};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::unistd::getpgid;

use crate::address::Address;
use crate::chain;
use crate::children::{Children, WorkerPlace};
use crate::hooks::{Hooks, Moment, Occasion};
use crate::memory::MemoryWatch;
use crate::metrics::{SupervisorMetrics, name, reason};
use crate::notify::NotifySocket;
use crate::options::Fixed;
use crate::pid_file::PidFile;
use crate::pool::{Action, Event, Exit, Expiry, Force, Outcome, Pid, Pool, ReloadOutcome, Seat};
use crate::process::{SI_QUEUE, catches, next_dead_child, reap};
use crate::relay::{Pipes, Relay};
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

    /// Nothing was ever measured.
    fn leave_nothing_behind(&self) {
        if let Err(error) = self.directory.wipe() {
            tracing::warn!(error = %chain(&error), "cannot wipe the metrics directory");
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
            Event::Expired(pid, _) => self.log_of(pid, "is to be replaced"),
            _ => {}
        }
        self.pool.record(event, Instant::now());
    }

    fn log_of(&self, pid: Pid, message: &str) {
        if let Some(seat) = self.pool.seat_of(pid) {
            tracing::info!(process = %seat, %pid, "{message}");
        }
    }

    fn look_at_memory(&mut self) {
        let Some(watch) = &mut self.memory_watch else { return };
        for (pid, bytes) in watch.look(self.pool.serving(), Instant::now()) {
            tracing::warn!(%pid, bytes, "has more memory than it may");
            self.record(Event::Expired(pid, Expiry::Memory));
        }
    }

    fn start_process(&mut self, seat: Seat) {
        let started = match seat {
            Seat::Worker(slot) => self.start_worker(slot),
            Seat::Exporter => self.children.fork_exporter(self.directory.path(), &self.own_descriptors()),
            Seat::Trial => self.fork_trial(),
        };
        match started {
            Ok(pid) => {
                tracing::info!(process = %seat, %pid, "started");
                self.metrics.started(seat);
                self.record(Event::Started(seat, pid));
            }
            Err(error) => {
                tracing::error!(process = %seat, error = %chain(&error), "cannot start");
                self.record(Event::StartFailed(seat));
            }
        }
    }

    fn start_worker(&mut self, slot: u32) -> io::Result<Pid> {
        let generation = self.pool.generation();
        let about = Occasion { slot: Some(slot), ..Occasion::of_all(Moment::PreFork, generation) };
        self.hooks.call(about);
        let pipes = self.relay.as_ref().map(Relay::pipes).transpose()?;
        let outputs = pipes.as_ref().map(Pipes::writers);
        let lane = self.pool.next_lane();
        self.children.sockets.open_lane(lane).map_err(io::Error::other)?;
        let place = WorkerPlace { slot, lane, generation, outputs };
        let pid = self.children.fork_worker(&place, &self.own_descriptors())?;
        self.hooks.call(Occasion { moment: Moment::PostFork, pid: Some(pid), ..about });
        if let (Some(relay), Some(pipes)) = (&mut self.relay, pipes) {
            relay.listen(slot, pid, pipes);
        }
        Ok(pid)
    }

    /// What children that do not execute anything must let go of: they would keep the directories' locks when
    /// the master dies, and read its signals.
    fn own_descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let own = [self.lock.as_fd(), self.runtime_dir.as_fd(), self.signals.as_fd(), self.notify.as_fd()];
        own.into_iter().chain(self.relay.as_ref().and_then(Relay::descriptor)).collect()
    }

    fn attend_relay(&mut self) {
        let Some(mut relay) = self.relay.take() else { return };
        let own = self.own_descriptors();
        relay.attend(Instant::now(), |run| self.children.fork_relay(&own, run));
        self.relay = Some(relay);
    }

    /// Calls the hooks of what happens to all.
    fn call(&mut self, moment: Moment) {
        self.hooks.call(Occasion::of_all(moment, self.pool.generation()));
    }

    /// Calls the hooks of what happens to a worker.
    fn call_of(&mut self, moment: Moment, pid: Pid, reason: Option<&'static str>) {
        let Some(Seat::Worker(slot)) = self.pool.seat_of(pid) else { return };
        let generation = self.pool.generation_of(pid).unwrap_or_default();
        self.hooks.call(Occasion { moment, slot: Some(slot), pid: Some(pid), generation, reason });
    }

    fn notice_readiness(&mut self) {
        if !self.was_ready && !self.pool.is_stopping() && self.pool.census().ready >= self.pool.target() {
            self.was_ready = true;
            self.call(Moment::WhenReady);
        }
    }

    fn attend_hooks(&mut self) {
        self.hooks.attend(Instant::now());
        for (moment, outcome) in self.hooks.take_ended() {
            self.metrics.hook_ended(moment, outcome);
        }
    }

    /// Waits for the last hooks, and lets the relay pass on what the last workers have printed.
    fn end(&mut self, outcome: Outcome) -> io::Result<()> {
        if outcome == Outcome::NeverReady {
            self.leave_nothing_behind();
        }
        let reason = match outcome {
            Outcome::Stopped => "stopped",
            Outcome::NeverReady => "never_ready",
        };
        let last = Occasion::of_all(Moment::OnExit, self.pool.generation());
        self.hooks.call(Occasion { reason: Some(reason), ..last });
        self.hooks.finish(Instant::now());
        loop {
            if let Some(relay) = &mut self.relay {
                relay.end(Instant::now());
            }
            self.attend_relay();
            self.attend_hooks();
            if self.hooks.is_idle() && self.relay.as_ref().is_none_or(Relay::has_ended) {
                return Ok(());
            }
            self.service_manager.tell(&self.pool, Instant::now());
            self.wait()?;
            self.receive_signals()?;
            self.bury_the_dead()?;
        }
    }

    fn end_reload(&mut self, outcome: ReloadOutcome) {
        let generation = self.pool.generation();
        match outcome {
            ReloadOutcome::Success => tracing::info!(generation, "reloaded"),
            ReloadOutcome::Failure => {
                tracing::error!(generation, "the reload has failed, the old workers go on");
            }
        }
        self.metrics.reloaded(outcome);
        self.record(Event::ReloadEnded(outcome));
    }

    fn scale(&mut self, event: Event) {
        self.record(event);
        tracing::info!(workers = self.pool.target(), "scaling");
    }

    /// The supervisor's own log is standard error, which has no name to be opened again. Workers that know
    /// the signal are told; of those that do not, it would be the end.
    fn reopen_logs(&self) {
        let told = self.pool.workers().filter(|&pid| catches(pid, Signal::SIGUSR1));
        let count = told.filter(|&pid| kill(pid, Signal::SIGUSR1).is_ok()).count();
        tracing::info!(workers = count, "told workers to open their logs again");
    }

    fn signal(&mut self, pid: Pid, force: Force) {
        let signal = match force {
            Force::Term => Signal::SIGTERM,
            Force::Abort => Signal::SIGABRT,
            Force::Kill => Signal::SIGKILL,
        };
        match force {
            Force::Term => {}
            Force::Abort => tracing::warn!(%pid, "has not said in time that it is alive, aborting it"),
            Force::Kill if self.pool.is_told_to_stop(pid) => {
                tracing::warn!(%pid, "did not stop in time, killing it");
            }
            Force::Kill => tracing::warn!(%pid, "was not ready in time, killing it"),
        }
        self.record(Event::Signalled(pid, force));
        // Before it stops, so that it finds all that came to it.
        self.steer();
        // It may be dead already; then it is about to be buried.
        let _ = kill(pid, signal);
        if force == Force::Kill {
            // A shell's children are of its group, and have not heard that it is over.
            let _ = kill(Pid::from_raw(-pid.as_raw()), signal);
        }
    }

    /// Where each worker has a queue of its own, lets new connections go to those who serve. A stop takes all of
    /// them: then everybody keeps what comes.
    fn steer(&mut self) {
        if !self.pool.is_stopping() {
            self.children.sockets.steer(|| self.pool.lanes());
        }
    }

    /// Waits until something happens or is due.
    fn wait(&self) -> io::Result<()> {
        let looks = self.memory_watch.as_ref().map(MemoryWatch::next);
        let relays = self.relay.as_ref().and_then(|relay| relay.next(Instant::now()));
        let hooks = self.hooks.next();
        let next = [self.pool.next_deadline(), self.service_manager.next(), looks, relays, hooks];
        let next = next.into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        // Rounded up: to wake up early is to wake up twice.
        let timeout = timeout.map(|time| time + Duration::from_millis(1));
        let timeout =
            timeout.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        let mut descriptors = [self.signals.as_fd(), self.notify.as_fd()]
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive_signals(&mut self) -> io::Result<()> {
        while let Some(received) = self.signals.read_signal()? {
            let signal =
                i32::try_from(received.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            match signal {
                Some(signal @ (Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT)) => {
                    tracing::info!(%signal, "stopping");
                    if self.pool.is_stopping() {
                        self.hooks.hurry(Instant::now());
                    }
                    self.record(Event::Stop);
                    // There is no patience in it.
                    if signal == Signal::SIGQUIT {
                        self.record(Event::Stop);
                    }
                }
                Some(Signal::SIGHUP) => {
                    self.reload();
                }
                Some(Signal::SIGUSR1) => self.reopen_logs(),
                Some(Signal::SIGUSR2) => {
                    tracing::info!("upgrading");
                    self.record(Event::Upgrade);
                }
                // One that was queued says how many there are to be.
                Some(Signal::SIGTTIN) if received.ssi_code == SI_QUEUE => {
                    self.scale(Event::ScaleTo(received.ssi_int.unsigned_abs()));
                }
                Some(Signal::SIGTTIN) => self.scale(Event::Scale(1)),
                Some(Signal::SIGTTOU) => self.scale(Event::Scale(-1)),
                // The children are looked after in any case.
                _ => {}
            }
        }
        Ok(())
    }

    fn receive_notifications(&mut self) -> io::Result<()> {
        while let Some(notification) = self.notify.receive()? {
            // A worker may be a shell that runs the server: what its process group says, it says.
            let sender = notification.sender;
            let leader = getpgid(Some(sender)).ok();
            let known =
                [Some(sender), leader].into_iter().flatten().find(|&pid| self.pool.seat_of(pid).is_some());
            let Some(pid) = known else {
                tracing::debug!(%sender, "a notification from no worker");
                continue;
            };
            if notification.ready {
                self.record(Event::Ready(pid));
            }
            if notification.alive {
                self.record(Event::Alive(pid));
            }
            if notification.expired {
                self.record(Event::Expired(pid, Expiry::Requests));
            }
            if notification.stopping {
                self.record(Event::Stopping(pid));
            }
        }
        Ok(())
    }

    /// For each dead child: first its files leave its PID's names, then the PID is given back.
    fn bury_the_dead(&mut self) -> io::Result<()> {
        while let Some((pid, exit)) = next_dead_child()? {
            if let Err(error) = self.directory.bury(pid.as_raw().unsigned_abs()) {
                tracing::error!(%pid, error = %chain(&error), "cannot bury a dead process's files");
            }
            reap(pid)?;
            if self.relay.as_mut().is_some_and(|relay| relay.record_exit(pid, exit, Instant::now())) {
                continue;
            }
            if self.hooks.record_exit(pid, exit) {
                continue;
            }
            let Some(seat) = self.pool.seat_of(pid) else {
                // As process 1 of a container, the master is the parent of whatever lost its own.
                tracing::debug!(%pid, "reaped an orphan");
                continue;
            };
            log_exit(seat, pid, exit, self.pool.is_stopping());
            let cause = self.pool.cause_of_end(pid, Instant::now());
            self.metrics.exited(seat, exit, cause);
            if self.pool.was_to_go_on(pid) {
                self.metrics.lost(seat);
            }
            self.call_of(Moment::WorkerExit, pid, Some(cause.map_or_else(|| reason(exit), name)));
            self.record(Event::Exited(pid, exit));
        }
        Ok(())
    }
}

fn log_exit(seat: Seat, pid: Pid, exit: Exit, expected: bool) {
    match exit {
        Exit::Code(code) if expected || code == 0 => tracing::info!(process = %seat, %pid, code, "exited"),
        Exit::Code(code) => tracing::warn!(process = %seat, %pid, code, "exited"),
        Exit::Signal(_) if expected => {
            tracing::info!(process = %seat, %pid, signal = reason(exit), "was killed")
        }
        Exit::Signal(_) => tracing::warn!(process = %seat, %pid, signal = reason(exit), "was killed"),
    }
}
