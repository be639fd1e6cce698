//! Forking: a child that is what it is to be before it does anything.
//!
//! # Safety
//!
//! One rule: the process that forks has one thread. [`fork_child`] checks it, so that a child may
//! allocate, take locks and run any code before it executes or exits.
#![expect(unsafe_code, reason = "fork and the environment have no safe interface")]

use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::setrlimit;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::umask;
use nix::unistd::{ForkResult, Pid, chdir, fork, getpid, getppid, setgroups, setpgid, setresgid, setresuid};

use super::CANNOT_EXECUTE;
use crate::attributes::Attributes;
use crate::chain;
use crate::log;

/// What a child exits with when it panics.
const PANICKED: i32 = 101;

/// Forks. The child runs `run` and exits with what that returns; it never returns here.
///
/// The child has its own process group, so that a terminal's Ctrl-C reaches the master alone; it gets
/// `SIGTERM` when the master dies, has the signal mask `mask`, and is what `attributes` say. A child that
/// cannot become that says why, and exits with [`CANNOT_EXECUTE`].
///
/// # Errors
///
/// When the process has more than one thread, or the system refuses.
pub fn fork_child(mask: &SigSet, attributes: &Attributes, run: impl FnOnce() -> i32) -> io::Result<Pid> {
    check_threads().map_err(io::Error::other)?;
    let parent = getpid();
    // SAFETY: this process has one thread (checked above).
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            log::begin_in_child();
            // Nothing may unwind into the parent's code, nor run its destructors.
            let code = catch_unwind(AssertUnwindSafe(|| match settle(parent, mask, attributes) {
                Ok(()) => run(),
                Err(error) => {
                    tracing::error!(error = %chain(&error), "cannot begin");
                    CANNOT_EXECUTE
                }
            }));
            // What `run` has printed; the parent had nothing left to print.
            let _ = io::Write::flush(&mut io::stdout());
            // SAFETY: ends this process without running anything of the parent's.
            unsafe { libc::_exit(code.unwrap_or(PANICKED)) }
        }
    }
}

/// Whether this process may fork: it must have one thread, so that a child may do anything.
///
/// # Errors
///
/// When there are others.
pub fn check_threads() -> Result<(), ThreadsError> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    let names: Vec<_> = tasks.filter_map(name).map(|name| name.trim().to_owned()).collect();
    if names.len() > 1 { Err(ThreadsError(names)) } else { Ok(()) }
}

/// This process has more than one thread.
#[derive(Debug, thiserror::Error)]
#[error("a process with other threads must not fork ({}): start them in the workers", .0.join(", "))]
pub struct ThreadsError(Vec<String>);

/// Sets variables of this process's environment, for those who read it there.
///
/// # Errors
///
/// When it has other threads, which might be reading them.
#[expect(clippy::disallowed_methods, reason = "there is no other thread that may be reading it")]
pub fn set_environment<'a>(
    variables: impl IntoIterator<Item = &'a (OsString, OsString)>,
) -> Result<(), ThreadsError> {
    check_threads()?;
    for (name, value) in variables {
        // SAFETY: nobody else reads or writes the environment: this is the only thread (checked above).
        unsafe { std::env::set_var(name, value) };
    }
    Ok(())
}

/// A forked child cannot become what it is to be.
#[derive(Debug, thiserror::Error)]
#[error("cannot set {what}")]
struct SettleError {
    what: &'static str,
    source: Errno,
}

/// Makes a forked child a process of its own.
fn settle(parent: Pid, mask: &SigSet, attributes: &Attributes) -> Result<(), SettleError> {
    let failed = |what| move |source| SettleError { what, source };
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(failed("the process group"))?;
    adopt(attributes)?;
    // The system forgets it when the user or the group changes, so this comes after that.
    let death = failed("the signal for the master's death");
    prctl::set_pdeathsig(Signal::SIGTERM).map_err(death)?;
    if getppid() != parent {
        // The parent died before it could be asked for.
        return Err(death(Errno::ESRCH));
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None).map_err(failed("the signal mask"))
}

/// Gives this process its attributes: first what only root may do, then the user.
fn adopt(attributes: &Attributes) -> Result<(), SettleError> {
    let failed = |what| move |source| SettleError { what, source };
    for limit in &attributes.limits {
        setrlimit(limit.resource, limit.soft, limit.hard).map_err(failed("a limit"))?;
    }
    if let Some(processor) = attributes.processor {
        let mut only = CpuSet::new();
        let set = only.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &only));
        set.map_err(failed("the processor"))?;
    }
    if let Some(identity) = &attributes.identity {
        setgroups(&identity.groups).map_err(failed("the groups"))?;
        setresgid(identity.group, identity.group, identity.group).map_err(failed("the group"))?;
        setresuid(identity.user, identity.user, identity.user).map_err(failed("the user"))?;
    }
    if let Some(folder) = &attributes.folder {
        chdir(folder).map_err(failed("the folder"))?;
    }
    if let Some(mask) = attributes.umask {
        umask(mask);
    }
    if attributes.no_new_privs {
        prctl::set_no_new_privs().map_err(failed("no_new_privs"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // A test runs in a thread of its own.
        let refused = fork_child(&SigSet::empty(), &Attributes::default(), || 0).unwrap_err();
        assert!(refused.to_string().contains("other threads must not fork"), "{refused}");
    }
}
