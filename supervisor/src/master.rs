//! The master: one thread, one loop. It waits for signals, notifications and deadlines, tells the
//! [pool](crate::pool) what happened, and performs what that decides.
//!
//! It reads nothing that a worker writes. A worker is buried while its zombie still holds the PID, so
//! that no new process can be taken for it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use headcount::RegisterError;
use headcount_store::directory::{Directory, LockError, OpenError, OwnerLock, WipeError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{getpgid, getpid};

use crate::address::{Address, NamedAddress};
use crate::chain;
use crate::children::Children;
use crate::environment::worker_environment;
use crate::hooks::{Hooks, Moment, Occasion};
use crate::identity::Identity;
use crate::memory::MemoryWatch;
use crate::metrics::{SupervisorMetrics, reason};
use crate::notify::NotifySocket;
use crate::options::RunOptions;
use crate::pid_file::{PidFile, PidFileError};
use crate::pool::{Action, Event, Exit, Force, Outcome, Pid, Pool, ReloadOutcome, Seat};
use crate::process::{ProgramError, next_dead_child, reap};
use crate::relay::{Pipes, Relay};
use crate::runtime_dir::{RuntimeDir, RuntimeDirError};
use crate::sockets::{BindError, Listener};
use crate::systemd::ServiceManager;

/// A supervisor could not be started. Nothing was forked, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no place for its own files.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// The metrics directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// Another supervisor has the metrics directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The metrics directory cannot be wiped.
    #[error(transparent)]
    Wipe(#[from] WipeError),
    /// A socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The supervisor's own metrics cannot be recorded.
    #[error("cannot record the supervisor's own metrics")]
    Metrics(#[from] RegisterError),
    /// There is nothing to run hooks.
    #[error("cannot run hooks")]
    Hooks(#[from] ProgramError),
    /// The PID cannot be written down.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// The user that workers are to be cannot be given the directory.
    #[error("cannot give the workers' user the directory {}", path.display())]
    HandOver {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses something else.
    #[error("cannot set up {what}")]
    System {
        /// What was refused.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// The running supervisor.
#[derive(Debug)]
pub struct Master {
    pool: Pool,
    children: Children,
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
    /// Removed last.
    runtime_dir: RuntimeDir,
}

/// What the master reacts to. All other signals keep their meaning.
const SIGNALS: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGCHLD,
];

impl Master {
    /// Binds the sockets, takes and wipes the directory. Forks nothing yet.
    ///
    /// # Errors
    ///
    /// When any of that fails; what was done is undone.
    pub fn start(options: RunOptions) -> Result<Self, StartError> {
        let holder = format!("headcount, PID {}", getpid());
        let runtime_dir = RuntimeDir::create(&holder)?;
        let own_directory = runtime_dir.path().join("metrics");
        let directory = Directory::open_or_create(options.directory.as_deref().unwrap_or(&own_directory))?;
        let lock = directory.lock(&holder)?;
        let sockets = options.bind.iter().map(Listener::bind).collect::<Result<Vec<_>, _>>()?;
        let exporter_socket = options.metrics.map(bind_metrics).transpose()?;
        let wiped = directory.wipe()?;
        let system = |what| move |error: io::Error| StartError::System { what, source: error };
        let notify =
            NotifySocket::bind(&runtime_dir.path().join("notify")).map_err(system("the notify socket"))?;
        let metrics = SupervisorMetrics::create(directory.path())?;
        if let Some(identity) = &options.attributes.identity {
            identity.hand_over_socket(notify.path()).map_err(system("the notify socket"))?;
            hand_over(identity, &directory)?;
            hand_over(identity, &Directory::open(runtime_dir.path())?)?;
        }
        let pid_file = options.pid_file.as_deref().map(PidFile::create).transpose()?;
        let (signals, signal_mask) = take_signals().map_err(system("signals"))?;
        let hooks = Hooks::new(options.hooks, options.hook_timeout, signal_mask)?;
        let watchdog = options.policy.watchdog;
        let environment =
            worker_environment(options.environment, directory.path(), notify.path(), &sockets, watchdog);
        for socket in &sockets {
            tracing::info!(name = socket.name, address = %socket.address, "listening");
        }
        if let Some(socket) = &exporter_socket {
            tracing::info!(address = %socket.address, "serving metrics");
        }
        tracing::info!(path = %directory.path().display(), wiped, "metrics directory");
        let pool = Pool::new(options.policy, exporter_socket.is_some());
        Ok(Self {
            pool,
            children: Children {
                program: options.program,
                environment,
                sockets,
                exporter_socket,
                attributes: options.attributes,
                affinity: options.affinity,
                signal_mask,
            },
            directory,
            lock,
            notify,
            signals,
            metrics,
            service_manager: ServiceManager::from_environment(),
            memory_watch: options.max_memory.map(MemoryWatch::new),
            relay: options.output.map(Relay::new).transpose().map_err(system("the workers' output"))?,
            hooks,
            was_ready: false,
            _pid_file: pid_file,
            runtime_dir,
        })
    }

    /// Where the workers' sockets listen.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &Address)> {
        self.children.sockets.iter().map(|socket| (socket.name.as_str(), &socket.address))
    }

    /// Where the merged metrics are served.
    #[must_use]
    pub fn metrics_address(&self) -> Option<&Address> {
        self.children.exporter_socket.as_ref().map(|socket| &socket.address)
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
        self.call(Moment::OnStarting);
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
            self.metrics.show(self.pool.census(), self.pool.backing_off(Instant::now()));
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
            }
            Event::Expired(pid) => self.log_of(pid, "is to be replaced"),
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
            self.record(Event::Expired(pid));
        }
    }

    fn start_process(&mut self, seat: Seat) {
        let started = match seat {
            Seat::Worker(slot) => self.start_worker(slot),
            Seat::Exporter => self.children.fork_exporter(self.directory.path(), &self.own_descriptors()),
        };
        match started {
            Ok(pid) => {
                tracing::info!(process = %seat, %pid, "started");
                self.metrics.started(seat);
                self.record(Event::Started(seat, pid));
            }
            Err(error) => {
                tracing::error!(process = %seat, error = %chain(&error), "cannot fork");
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
        let pid = self.children.fork_worker(slot, generation, outputs)?;
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
                tracing::error!(
                    generation,
                    "the reload has failed: a new worker was never ready, the old ones go on"
                );
            }
        }
        self.metrics.reloaded(outcome);
        self.record(Event::ReloadEnded(outcome));
    }

    fn scale(&mut self, more: i32) {
        self.record(Event::Scale(more));
        tracing::info!(workers = self.pool.target(), "scaling");
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
        // It may be dead already; then it is about to be buried.
        let _ = kill(pid, signal);
        self.record(Event::Signalled(pid, force));
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
                    self.record(Event::Reload);
                    self.call(Moment::Reload);
                    tracing::info!(generation = self.pool.generation(), "reloading");
                }
                Some(Signal::SIGTTIN) => self.scale(1),
                Some(Signal::SIGTTOU) => self.scale(-1),
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
            self.metrics.exited(seat, exit);
            self.call_of(Moment::WorkerExit, pid, Some(reason(exit)));
            self.record(Event::Exited(pid, exit));
        }
        Ok(())
    }
}

fn hand_over(identity: &Identity, directory: &Directory) -> Result<(), StartError> {
    let failed = |source| StartError::HandOver { path: directory.path().to_owned(), source };
    identity.hand_over(directory).map_err(failed)
}

fn bind_metrics(address: Address) -> Result<Listener, BindError> {
    Listener::bind(&NamedAddress { name: "metrics".to_owned(), address })
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

/// Blocks the master's signals, to be read from a descriptor. Returns what was blocked before.
fn take_signals() -> io::Result<(SignalFd, SigSet)> {
    let mask: SigSet = SIGNALS.into_iter().collect();
    let mut original = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut original))?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    Ok((signals, original))
}
