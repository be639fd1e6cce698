//! What a master stands on: sockets, a directory and its lock, of its own or left by another supervisor.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headcount::RegisterError;
use headcount_store::directory::{Directory, LockError, OpenError, OwnerLock, WipeError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpid;

use crate::chain;
use crate::handover::{Handover, HandoverError, History, take};
use crate::notify::NotifySocket;
use crate::options::{OptionsError, RunOptions};
use crate::owner::Owner;
use crate::pid_file::{PidFile, PidFileError};
use crate::pool::Snapshot;
use crate::process::{ProgramError, ThreadsError};
use crate::relay::RelayState;
use crate::runtime_dir::{self, RuntimeDir, RuntimeDirError};
use crate::sockets::{BindError, Sockets, take_passed};

/// A supervisor could not be started. Nothing was forked, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What was asked for cannot be.
    #[error(transparent)]
    Options(#[from] OptionsError),
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
    /// What the supervisor before this one has left cannot be taken over.
    #[error(transparent)]
    Handover(#[from] HandoverError),
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
    /// This process is more than one thread.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    /// The system refuses something else.
    #[error("cannot set up {what}")]
    System {
        /// What was refused.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What the master reacts to. All other signals keep their meaning.
const SIGNALS: [Signal; 9] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
];

/// Everything that a master has before it has a child.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(super) runtime_dir: RuntimeDir,
    pub(super) directory: Directory,
    pub(super) lock: OwnerLock,
    pub(super) sockets: Sockets,
    pub(super) notify: NotifySocket,
    pub(super) signals: SignalFd,
    /// The signals that were blocked before there was a supervisor.
    pub(super) signal_mask: SigSet,
    pub(super) history: History,
    pub(super) pid_file: Option<PidFile>,
    /// What the supervisor before this one knew of its processes.
    pub(super) left: Option<Snapshot>,
    /// What it had of their output.
    pub(super) relay: Option<RelayState>,
}

impl Ground {
    /// Binds the sockets, takes and wipes the directory.
    ///
    /// In a process that a supervisor has executed for its upgrade, takes over from that
    /// instead; `None` if it was only asked whether it could.
    ///
    /// # Errors
    ///
    /// When any of that fails; what was done is undone.
    pub(crate) fn lay(options: &RunOptions) -> Result<Option<Self>, StartError> {
        match Handover::from_environment()? {
            None => Self::lay_anew(options).map(Some),
            Some(handover) if handover.is_trial => {
                check(options, &handover)?;
                tracing::info!(version = env!("CARGO_PKG_VERSION"), "this program can take over");
                Ok(None)
            }
            Some(handover) => Self::take_over(options, handover).map(Some),
        }
    }

    /// The metrics directory.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    fn lay_anew(options: &RunOptions) -> Result<Self, StartError> {
        // They have their numbers, which nothing else may get.
        let passed = take_passed()?;
        let holder = Owner::name(getpid());
        let runtime_dir = RuntimeDir::create(&holder)?;
        let own_directory = runtime_dir.path().join(runtime_dir::METRICS);
        let directory = Directory::open_or_create(options.directory.as_deref().unwrap_or(&own_directory))?;
        let lock = directory.lock(&holder)?;
        // What is bound, wiped and forked from here on is undone in order, whatever comes.
        let (signals, signal_mask) = take_signals().map_err(system("signals"))?;
        let mut pause = |time| !is_told_to_stop_within(time, &signals);
        let sockets = Sockets::open(passed, &options.bind, &options.metrics, &options.listen, &mut pause)?;
        let wiped = directory.wipe()?;
        tracing::info!(path = %directory.path().display(), wiped, "metrics directory");
        let notify =
            NotifySocket::bind(&runtime_dir.path().join("notify")).map_err(system("the notify socket"))?;
        give_away(options, &directory, &runtime_dir, &notify)?;
        let pid_file = options.pid_file.as_deref().map(PidFile::create).transpose()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let history = History { start_time: now.as_secs_f64(), last_reload: 1.0, last_reload_success: 0.0 };
        Ok(Self {
            runtime_dir,
            directory,
            lock,
            sockets,
            notify,
            signals,
            signal_mask,
            history,
            pid_file,
            left: None,
            relay: None,
        })
    }

    fn take_over(options: &RunOptions, handover: Handover) -> Result<Self, StartError> {
        let directory = Directory::open(&handover.directory)?;
        let lock = take(handover.lock, "the lock of the metrics directory")?.into();
        let runtime_lock = take(handover.runtime_lock, "its own directory")?;
        let runtime_dir = RuntimeDir::take_over(handover.runtime_dir, runtime_lock);
        let notify = take(handover.notify, "the notify socket")?;
        let notify = NotifySocket::take_over(notify, runtime_dir.path().join("notify"));
        give_away(options, &directory, &runtime_dir, &notify)?;
        let pid_file = options.pid_file.as_deref().map(PidFile::create).transpose()?;
        let (signals, _) = take_signals().map_err(system("signals"))?;
        let signal_mask = handover.signal_mask.iter().filter_map(|&number| Signal::try_from(number).ok());
        let sockets = handover.sockets.take_over(&options.bind, &options.metrics, &options.listen)?;
        // What the program before this one counted in this same process stays; its gauges are ours now.
        if let Err(error) = directory.bury(getpid().as_raw().unsigned_abs()) {
            tracing::error!(error = %chain(&error), "cannot bury the metrics of the supervisor before this one");
        }
        Ok(Self {
            runtime_dir,
            directory,
            lock,
            sockets,
            notify,
            signals,
            signal_mask: signal_mask.collect(),
            history: handover.history,
            pid_file,
            left: Some(handover.pool),
            relay: handover.relay,
        })
    }
}

/// Whether `options` could go on with what another supervisor would leave. Changes nothing.
fn check(options: &RunOptions, handover: &Handover) -> Result<(), StartError> {
    let wanted = options.directory.as_deref();
    let is_own = handover.directory.starts_with(&handover.runtime_dir);
    if wanted.is_some_and(|wanted| wanted != handover.directory) || (wanted.is_none() && !is_own) {
        return Err(HandoverError::Directory(handover.directory.clone()).into());
    }
    Directory::open(&handover.directory)?;
    for descriptor in handover.descriptors() {
        take(descriptor, "a descriptor")?;
    }
    // What is bound for this is closed again, and bound for good by the one that takes over.
    handover.sockets.check(&options.bind, &options.metrics, &options.listen)?;
    Ok(())
}

/// Makes what workers need that of the user that they are to be.
fn give_away(
    options: &RunOptions,
    directory: &Directory,
    runtime_dir: &RuntimeDir,
    notify: &NotifySocket,
) -> Result<(), StartError> {
    let Some(identity) = &options.attributes.identity else { return Ok(()) };
    identity.hand_over_socket(notify.path()).map_err(system("the notify socket"))?;
    let give = |directory: &Directory| {
        let failed = |source| StartError::HandOver { path: directory.path().to_owned(), source };
        identity.hand_over(directory).map_err(failed)
    };
    give(directory)?;
    give(&Directory::open(runtime_dir.path())?)
}

pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::System { what, source }
}

/// Blocks the master's signals, to be read from a descriptor. Returns what was blocked before.
fn take_signals() -> io::Result<(SignalFd, SigSet)> {
    let mask: SigSet = SIGNALS.into_iter().collect();
    let mut original = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut original))?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    Ok((signals, original))
}

/// Waits so long for a signal to stop. There is nothing yet to which the others could apply.
fn is_told_to_stop_within(time: Duration, signals: &SignalFd) -> bool {
    let mut descriptors = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut descriptors, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
    let mut received = std::iter::from_fn(|| signals.read_signal().ok().flatten());
    let stops = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
    received.any(|one| stops.iter().any(|&signal| i32::try_from(one.ssi_signo) == Ok(signal as i32)))
}
