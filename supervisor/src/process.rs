//! Forking, executing and waiting, each wrapped once.
//!
//! # Safety
//!
//! One rule: the process that forks has one thread. [`fork_child`] checks it, so that a child may
//! allocate, take locks and run any code before it executes or exits.
#![expect(unsafe_code, reason = "fork, waitid and descriptors by number have no safe interface")]

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::setrlimit;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    AccessFlags, ForkResult, Pid, access, chdir, execve, fork, getpid, getppid, setgroups, setpgid,
    setresgid, setresuid,
};

use crate::attributes::Attributes;
use crate::chain;
use crate::log;
use crate::pool::Exit;

/// What a child exits with when its program cannot be executed.
pub const CANNOT_EXECUTE: i32 = 127;
/// What a child exits with when it panics.
const PANICKED: i32 = 101;
/// The first descriptor that is passed by `LISTEN_FDS`.
const FIRST_PASSED: RawFd = 3;

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

/// A program with its arguments, found and ready to be executed.
#[derive(Debug)]
pub struct Program {
    path: CString,
    arguments: Vec<CString>,
}

/// A program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no such file, here or in `PATH`.
    #[error("cannot find the program `{}`", .0.display())]
    NotFound(PathBuf),
    /// The file cannot be executed.
    #[error("cannot execute {}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A zero byte in an argument.
    #[error("an argument has a zero byte in it")]
    ZeroByte,
}

impl Program {
    /// Finds a program, as a shell in `folder` would.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be executed.
    pub fn find(command: &[OsString], folder: &Path) -> Result<Self, ProgramError> {
        let name = command.first().ok_or_else(|| ProgramError::NotFound(PathBuf::new()))?;
        let path = find_in_path(name, folder)?;
        let to_c = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| ProgramError::ZeroByte);
        let arguments = command.iter().map(|argument| to_c(argument)).collect::<Result<_, _>>()?;
        Ok(Self { path: to_c(path.as_os_str())?, arguments })
    }

    /// This process's own program as it is now, with the same arguments.
    ///
    /// By the name under which it was started, so that a link leads to the newest one.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub fn own() -> Result<Self, ProgramError> {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        Self::find(&arguments, Path::new(""))
    }

    /// Replaces this process by the program, with these variables, with `outputs` as its standard output and
    /// error instead of this process's, and with `sockets` as its descriptors from 3 on. Returns only if that
    /// fails.
    pub fn execute(
        &self,
        environment: &[(OsString, OsString)],
        outputs: Option<[BorrowedFd<'_>; 2]>,
        sockets: &[BorrowedFd<'_>],
    ) -> io::Error {
        let prepare = || {
            listen_to_broken_pipes()?;
            redirect_output(outputs)?;
            pass_descriptors(sockets)
        };
        prepare().err().unwrap_or_else(|| self.become_with(environment))
    }

    fn become_with(&self, environment: &[(OsString, OsString)]) -> io::Error {
        let variable = |(name, value): &(OsString, OsString)| {
            let mut variable = name.clone().into_vec();
            variable.push(b'=');
            variable.extend(value.as_bytes());
            CString::new(variable)
        };
        let Ok(environment) = environment.iter().map(variable).collect::<Result<Vec<_>, _>>() else {
            return io::ErrorKind::InvalidInput.into();
        };
        match execve::<CString, CString>(&self.path, &self.arguments, &environment) {
            Err(error) => error.into(),
            Ok(never) => match never {},
        }
    }

    /// Replaces this process by the program, which keeps the descriptors `kept` under their numbers. Returns
    /// only if that fails, and then nothing has changed.
    pub fn replace_this(&self, environment: &[(OsString, OsString)], kept: &[RawFd]) -> io::Error {
        let pass = |flag: FdFlag| -> io::Result<()> {
            kept.iter().try_for_each(|&number| {
                // SAFETY: only flags are set, of a descriptor that the caller holds open.
                let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
                fcntl(descriptor, FcntlArg::F_SETFD(flag))?;
                Ok(())
            })
        };
        let error = pass(FdFlag::empty()).err().unwrap_or_else(|| self.become_with(environment));
        // What cannot be marked again is passed on to workers, which exec closes it for all the same.
        let _ = pass(FdFlag::FD_CLOEXEC);
        error
    }

    /// The program's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(CStr::to_bytes(&self.path)))
    }
}

fn find_in_path(name: &OsStr, folder: &Path) -> Result<PathBuf, ProgramError> {
    if name.as_bytes().contains(&b'/') {
        let path = folder.join(name);
        if !path.exists() {
            return Err(ProgramError::NotFound(name.into()));
        }
        return match access(&path, AccessFlags::X_OK) {
            Ok(()) if path.is_dir() => {
                Err(ProgramError::NotExecutable { path, source: io::ErrorKind::IsADirectory.into() })
            }
            Ok(()) => Ok(path),
            Err(error) => Err(ProgramError::NotExecutable { path, source: error.into() }),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|listed| folder.join(listed).join(name))
        .find(|candidate| candidate.is_file() && access(candidate, AccessFlags::X_OK).is_ok());
    found.ok_or_else(|| ProgramError::NotFound(name.into()))
}

/// Rust ignores `SIGPIPE` at start, and an ignored signal stays ignored over exec: most programs count on it.
fn listen_to_broken_pipes() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(Signal::SIGPIPE, &default) }?;
    Ok(())
}

/// Makes these the standard output and error of a forked child; without them it has its parent's.
pub(crate) fn redirect_output(outputs: Option<[BorrowedFd<'_>; 2]>) -> io::Result<()> {
    let mut outputs = outputs.into_iter().flatten().zip(1..);
    outputs.try_for_each(|(output, place)| put_at(output.as_raw_fd(), place))
}

/// Puts `sockets` at the descriptors from 3 on and lets the program have nothing else but its standard
/// three; of these, input comes from nowhere.
fn pass_descriptors(sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let count = RawFd::try_from(sockets.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let end = FIRST_PASSED + count;
    // First out of the way of the places to be filled, which some of them may have now.
    let aside: Vec<RawFd> = sockets
        .iter()
        .map(|socket| fcntl(socket, FcntlArg::F_DUPFD_CLOEXEC(end)).map_err(io::Error::from))
        .collect::<io::Result<_>>()?;
    let null: OwnedFd = nix::fcntl::open(c"/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    put_at(null.as_raw_fd(), 0)?;
    for (&descriptor, place) in aside.iter().zip(FIRST_PASSED..) {
        put_at(descriptor, place)?;
    }
    let first_closed = libc::c_uint::try_from(end).map_err(|_| io::ErrorKind::InvalidInput)?;
    let flag = libc::c_int::try_from(libc::CLOSE_RANGE_CLOEXEC).unwrap_or_default();
    // SAFETY: marks descriptors to be closed by exec, and touches none before that.
    let marked = unsafe { libc::close_range(first_closed, libc::c_uint::MAX, flag) };
    // Before Linux 5.11 there is no such call: then only what was marked when it was opened is closed.
    if marked < 0 && !matches!(Errno::last(), Errno::ENOSYS | Errno::EINVAL) {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes over a descriptor that this process was started with. From here on no child gets it by exec.
///
/// # Errors
///
/// When there is none of this number.
pub fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: borrowed for one call, which fails if there is no such descriptor.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it exists, as the call above has shown; whoever started this process has left it to it, and
    // says so once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes descriptors whose owners, in a forked child, are the parent's and will never be dropped.
pub fn close_in_child<'a>(descriptors: impl IntoIterator<Item = BorrowedFd<'a>>) {
    for descriptor in descriptors {
        // SAFETY: the child ends by `_exit`, without using or dropping what owned them in the parent.
        unsafe { libc::close(descriptor.as_raw_fd()) };
    }
}

/// The owner of a descriptor that this process has just received.
pub(crate) fn own(received: RawFd) -> OwnedFd {
    // SAFETY: the kernel has made it for whoever received the message, who gives it to nobody else.
    unsafe { OwnedFd::from_raw_fd(received) }
}

fn put_at(descriptor: RawFd, place: RawFd) -> io::Result<()> {
    // SAFETY: a forked child makes itself what it is to be; what had the place is not used again.
    let put = unsafe { libc::dup2(descriptor, place) };
    if put < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether a process has a handler for a signal, so that it would not die of it. `false` if it is gone.
#[must_use]
pub fn catches(pid: Pid, signal: Signal) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}

/// A dead child that still has its PID, and how it ended; `None` if there is none.
///
/// The same one is returned until it is [reaped](reap). Until then no process can get its PID.
///
/// # Errors
///
/// When the system refuses, which it has no reason to.
pub fn next_dead_child() -> io::Result<Option<(Pid, Exit)>> {
    // SAFETY: all zeros is a value of this type.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // SAFETY: `info` is valid for writing.
        if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) } == 0 {
            break;
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
    // SAFETY: waitid has filled the fields of a SIGCHLD, or left them zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    let exit = if info.si_code == libc::CLD_EXITED { Exit::Code(status) } else { Exit::Signal(status) };
    Ok((pid != 0).then(|| (Pid::from_raw(pid), exit)))
}

/// Lets go of a dead child: from here on another process may get its PID.
///
/// # Errors
///
/// When it is no dead child.
pub fn reap(pid: Pid) -> io::Result<()> {
    // By number: nix would fail on a child that died by a real-time signal, having reaped it.
    // SAFETY: a null pointer says that the status is not wanted.
    let reaped = unsafe { libc::waitpid(pid.as_raw(), std::ptr::null_mut(), libc::WNOHANG) };
    if reaped < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What a signal's `ssi_code` says of one that came by [`queue_signal`].
pub const SI_QUEUE: i32 = libc::SI_QUEUE;

/// Sends a signal with a number, which the receiver finds in `ssi_int`.
///
/// # Errors
///
/// When there is no such process, or it is not the caller's to tell.
pub fn queue_signal(pid: Pid, signal: Signal, number: i32) -> io::Result<()> {
    // The number is the first part of a union whose other part is a pointer.
    let mut bytes = [0; size_of::<usize>()];
    bytes[..size_of::<i32>()].copy_from_slice(&number.to_ne_bytes());
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(usize::from_ne_bytes(bytes)) };
    // SAFETY: nothing is read or written through the pointer, which is none.
    let sent = unsafe { libc::sigqueue(pid.as_raw(), signal as i32, value) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_would_find_it() {
        let from = |folder: &str, name: &str| Program::find(&[name.into()], Path::new(folder));
        let find = |name: &str| from("", name);
        assert_eq!(find("sh").unwrap().path().file_name().unwrap(), "sh");
        assert!(find("/bin/sh").is_ok());
        assert_eq!(from("/bin", "./sh").unwrap().path(), Path::new("/bin/./sh"));
        assert!(matches!(find("no-such-program"), Err(ProgramError::NotFound(_))));
        assert!(matches!(find("./no-such-program"), Err(ProgramError::NotFound(_))));
        assert!(matches!(find("/etc/passwd"), Err(ProgramError::NotExecutable { .. })));
        assert!(matches!(find("/etc"), Err(ProgramError::NotExecutable { .. })));
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // A test runs in a thread of its own.
        let refused = fork_child(&SigSet::empty(), &Attributes::default(), || 0).unwrap_err();
        assert!(refused.to_string().contains("other threads must not fork"), "{refused}");
    }
}
