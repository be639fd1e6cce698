//! The master: one thread, one loop. It waits for signals, notifications and deadlines, tells the
//! [pool](crate::pool) what happened, and performs what that decides.
//!
//! It reads nothing that a worker writes. A worker is buried while its zombie still holds the PID, so
//! that no new process can be taken for it.

use std::io;
use std::os::fd::AsFd;
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
use crate::memory::MemoryWatch;
use crate::metrics::{SupervisorMetrics, reason};
use crate::notify::NotifySocket;
use crate::options::RunOptions;
use crate::pool::{Action, Event, Exit, Force, Outcome, Pid, Pool, ReloadOutcome, Seat};
use crate::process::{next_dead_child, reap};
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
    /// Removed last.
    _runtime_dir: RuntimeDir,
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
        let (signals, signal_mask) = take_signals().map_err(system("signals"))?;
        let watchdog = options.policy.watchdog;
        let environment = worker_environment(directory.path(), notify.path(), &sockets, watchdog).collect();
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
                foreign: options.foreign,
                signal_mask,
            },
            directory,
            lock,
            notify,
            signals,
            metrics,
            service_manager: ServiceManager::from_environment(),
            memory_watch: options.max_memory.map(MemoryWatch::new),
            _runtime_dir: runtime_dir,
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
        loop {
            if let Some(outcome) = self.perform() {
                return Ok(outcome);
            }
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
            Event::Ready(pid) | Event::Presumed(pid) => self.log_of(pid, "ready"),
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
            Seat::Worker(slot) => self.children.fork_worker(slot, self.pool.generation()),
            Seat::Exporter => {
                // The exporter must not keep the directory's lock when the master dies, nor read its signals.
                let masters = [self.lock.as_fd(), self.signals.as_fd(), self.notify.as_fd()];
                self.children.fork_exporter(self.directory.path(), &masters)
            }
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
        let next = [self.pool.next_deadline(), self.service_manager.next(), looks];
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
                    self.record(Event::Stop);
                    // There is no patience in it.
                    if signal == Signal::SIGQUIT {
                        self.record(Event::Stop);
                    }
                }
                Some(Signal::SIGHUP) => {
                    self.record(Event::Reload);
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
            let Some(seat) = self.pool.seat_of(pid) else {
                // As process 1 of a container, the master is the parent of whatever lost its own.
                tracing::debug!(%pid, "reaped an orphan");
                continue;
            };
            log_exit(seat, pid, exit, self.pool.is_stopping());
            self.metrics.exited(seat, exit);
            self.record(Event::Exited(pid, exit));
        }
        Ok(())
    }
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
