//! What others want done when something happens: commands that the operator has given, or closures of an
//! application that is its own supervisor.
//!
//! A hook can neither stop nor delay the master. It is a child of its own, with a deadline, after which its
//! process group is killed. Hooks run one after another, in the order of what happened: who writes them need not
//! think of two at once. So a slow one delays those behind it; there is a limit to how many wait.
//!
//! * `moment`: when a hook runs, and what it is told.
//! * `queue`: which runs next, decided without running it.
//!
//! The pool does not know of hooks: nothing that it decides depends on one, but that the first worker waits for
//! those of the start.

mod moment;
mod queue;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::getpid;

use crate::attributes::Attributes;
use crate::environment::inherited;
use crate::pool::{Exit, Pid};
use crate::process::{CANNOT_EXECUTE, Program, ProgramError, fork_child};
pub use moment::{Hook, HookError, Moment, Occasion};
use queue::{Queue, Step};

/// How a hook has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With exit status 0.
    Success,
    /// With another one, by a signal, or before it began.
    Failure,
    /// By its deadline.
    Timeout,
    /// It never began: too many were waiting, or all was over.
    Skipped,
}

impl Outcome {
    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Skipped => "skipped",
        }
    }
}

/// What is done.
#[derive(Debug)]
enum Call {
    /// A command of the operator's.
    Command(Program),
    /// A closure of the application that is its own supervisor.
    Closure(Closure),
}

/// It runs in a process of its own, as a command does: it may hang or panic.
pub(crate) struct Closure(pub(crate) Box<dyn Fn(&Occasion)>);

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closure(..)")
    }
}

/// All hooks, and what becomes of them.
#[derive(Debug)]
pub(crate) struct Hooks {
    given: Vec<Hook>,
    hooks: Vec<(Moment, Call)>,
    queue: Queue,
    /// The signals that were blocked when the master was started.
    signal_mask: SigSet,
    ended: Vec<(Moment, Outcome)>,
}

impl Hooks {
    /// Hooks none of which has run.
    ///
    /// # Errors
    ///
    /// When there is no shell to run them.
    pub(crate) fn new(
        hooks: Vec<Hook>,
        timeout: Duration,
        signal_mask: SigSet,
    ) -> Result<Self, ProgramError> {
        let calls = commands(&hooks)?;
        Ok(Self { given: hooks, hooks: calls, queue: Queue::new(timeout), signal_mask, ended: Vec::new() })
    }

    /// From here on there are other hooks, if they are others. Of the old ones those that wait do not begin.
    ///
    /// # Errors
    ///
    /// When there is no shell to run them.
    pub(crate) fn replace(&mut self, hooks: Vec<Hook>, timeout: Duration) -> Result<(), ProgramError> {
        if self.given != hooks {
            let commands = commands(&hooks)?;
            self.hooks.retain(|(_, call)| matches!(call, Call::Closure(_)));
            self.hooks.extend(commands);
            self.given = hooks;
            self.ended.extend(self.queue.clear().map(|occasion| (occasion.moment, Outcome::Skipped)));
        }
        self.queue.set_timeout(timeout);
        Ok(())
    }

    /// One more, after all others of its moment.
    pub(crate) fn add(&mut self, moment: Moment, closure: Closure) {
        self.hooks.push((moment, Call::Closure(closure)));
    }

    /// Something has happened: its hooks are to run.
    pub(crate) fn call(&mut self, occasion: Occasion) {
        for (hook, (moment, _)) in self.hooks.iter().enumerate() {
            if *moment == occasion.moment && !self.queue.add(hook, occasion) {
                self.ended.push((*moment, Outcome::Skipped));
            }
        }
    }

    /// Starts those whose turn it is, and kills those that take too long.
    pub(crate) fn attend(&mut self, now: Instant) {
        loop {
            match self.queue.step(now) {
                Step::Wait => return,
                Step::Kill(pid) => {
                    // Its group, unless it has died before it had one.
                    if killpg(pid, Signal::SIGKILL).is_err() {
                        let _ = kill(pid, Signal::SIGKILL);
                    }
                }
                Step::Forget(pid, occasion) => self.end(pid, occasion.moment, Outcome::Timeout),
                Step::Skip(occasion) => self.ended.push((occasion.moment, Outcome::Skipped)),
                Step::Start(hook, occasion) => match self.fork(hook, occasion) {
                    Ok(pid) => {
                        tracing::debug!(hook = occasion.moment.name(), %pid, "hook started");
                        self.queue.started(pid, occasion, now);
                    }
                    Err(error) => {
                        tracing::error!(hook = occasion.moment.name(), %error, "cannot fork a hook");
                        self.ended.push((occasion.moment, Outcome::Failure));
                    }
                },
            }
        }
    }

    fn fork(&self, hook: usize, occasion: Occasion) -> io::Result<Pid> {
        let (_, call) = &self.hooks[hook];
        fork_child(&self.signal_mask, &Attributes::default(), || {
            let program = match call {
                Call::Command(program) => program,
                Call::Closure(Closure(run)) => {
                    run(&occasion);
                    return 0;
                }
            };
            let told = occasion.variables();
            // What this process was told itself by the same names is not meant.
            let mut variables: Vec<_> =
                inherited().filter(|(name, _)| !Occasion::NAMES.iter().any(|ours| name == ours)).collect();
            variables.extend(told.into_iter().map(|(name, value)| (name.into(), value.into())));
            let error = program.execute(&variables, None, &[]);
            tracing::error!(hook = occasion.moment.name(), pid = %getpid(), %error, "cannot execute a hook");
            CANNOT_EXECUTE
        })
    }

    /// Takes note of a child's death. Tells whether it was a hook's.
    pub(crate) fn record_exit(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some((occasion, killed)) = self.queue.ended(pid) else { return false };
        let outcome = match exit {
            _ if killed => Outcome::Timeout,
            Exit::Code(0) => Outcome::Success,
            Exit::Code(code) => {
                tracing::warn!(hook = occasion.moment.name(), %pid, code, "the hook has failed");
                Outcome::Failure
            }
            Exit::Signal(signal) => {
                tracing::warn!(hook = occasion.moment.name(), %pid, signal, "the hook was killed");
                Outcome::Failure
            }
        };
        self.end(pid, occasion.moment, outcome);
        true
    }

    fn end(&mut self, pid: Pid, moment: Moment, outcome: Outcome) {
        match outcome {
            Outcome::Success => tracing::info!(hook = moment.name(), %pid, "hook done"),
            Outcome::Timeout => {
                tracing::warn!(hook = moment.name(), %pid, "the hook took too long, killed it")
            }
            Outcome::Failure | Outcome::Skipped => {}
        }
        self.ended.push((moment, outcome));
    }

    /// Those that have ended since this was asked last.
    pub(crate) fn take_ended(&mut self) -> Vec<(Moment, Outcome)> {
        std::mem::take(&mut self.ended)
    }

    /// When there is something to do even if nothing happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.next()
    }

    /// Whether a hook of this moment runs, or is to.
    pub(crate) fn is_busy(&self, moment: Moment) -> bool {
        self.queue.occasions().any(|occasion| occasion.moment == moment)
    }

    /// Whether no hook runs or is to.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.occasions().next().is_none()
    }

    /// All is over: whoever has not begun within the time that a hook has does not, but for those of the end.
    pub(crate) fn finish(&mut self, now: Instant) {
        self.queue.finish(now);
    }

    /// Nobody waits long any more.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.queue.hurry(now);
    }
}

/// What runs them.
fn commands(hooks: &[Hook]) -> Result<Vec<(Moment, Call)>, ProgramError> {
    let program = |hook: &Hook| {
        let command = ["/bin/sh".into(), "-c".into(), hook.command.clone().into()];
        Ok((hook.moment, Call::Command(Program::find(&command, Path::new(""))?)))
    };
    hooks.iter().map(program).collect()
}
