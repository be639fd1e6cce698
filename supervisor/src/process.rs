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
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, ForkResult, Pid, access, execve, fork, getpid, getppid, setpgid};

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
/// `SIGTERM` when the master dies, and has the signal mask `mask`.
///
/// # Errors
///
/// When the process has more than one thread, or the system refuses.
pub fn fork_child(mask: &SigSet, run: impl FnOnce() -> i32) -> io::Result<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(io::Error::other(format!("a process with {threads} threads must not fork")));
    }
    let parent = getpid();
    // SAFETY: this process has one thread (checked above).
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            // Nothing may unwind into the parent's code, nor run its destructors.
            let code = catch_unwind(AssertUnwindSafe(|| match settle(parent, mask) {
                Ok(()) => run(),
                Err(_) => CANNOT_EXECUTE,
            }));
            // SAFETY: ends this process without running anything of the parent's.
            unsafe { libc::_exit(code.unwrap_or(PANICKED)) }
        }
    }
}

/// Makes a forked child a process of its own.
fn settle(parent: Pid, mask: &SigSet) -> io::Result<()> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    if getppid() != parent {
        // The parent died before it could be asked for.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    // Rust ignores it at start, and an ignored signal stays ignored over exec.
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(Signal::SIGPIPE, &default) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)?;
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
    /// Finds a program, as a shell would.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be executed.
    pub fn find(command: &[OsString]) -> Result<Self, ProgramError> {
        let name = command.first().ok_or_else(|| ProgramError::NotFound(PathBuf::new()))?;
        let path = find_in_path(name)?;
        let to_c = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| ProgramError::ZeroByte);
        let arguments = command.iter().map(|argument| to_c(argument)).collect::<Result<_, _>>()?;
        Ok(Self { path: to_c(path.as_os_str())?, arguments })
    }

    /// Replaces this process by the program, with these variables and with `sockets` as its descriptors
    /// from 3 on. Returns only if that fails.
    pub fn execute(&self, environment: &[(OsString, OsString)], sockets: &[BorrowedFd<'_>]) -> io::Error {
        let variable = |(name, value): &(OsString, OsString)| {
            let mut variable = name.clone().into_vec();
            variable.push(b'=');
            variable.extend(value.as_bytes());
            CString::new(variable)
        };
        let prepare = || -> io::Result<Vec<CString>> {
            pass_descriptors(sockets)?;
            environment
                .iter()
                .map(variable)
                .collect::<Result<_, _>>()
                .map_err(|_| io::ErrorKind::InvalidInput.into())
        };
        match prepare() {
            Err(error) => error,
            Ok(environment) => match execve::<CString, CString>(&self.path, &self.arguments, &environment) {
                Err(error) => error.into(),
                Ok(never) => match never {},
            },
        }
    }

    /// The program's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(CStr::to_bytes(&self.path)))
    }
}

fn find_in_path(name: &OsStr) -> Result<PathBuf, ProgramError> {
    let path = Path::new(name);
    if name.as_bytes().contains(&b'/') {
        if !path.exists() {
            return Err(ProgramError::NotFound(path.to_owned()));
        }
        return match access(path, AccessFlags::X_OK) {
            Ok(()) if path.is_dir() => {
                let source = io::ErrorKind::IsADirectory.into();
                Err(ProgramError::NotExecutable { path: path.to_owned(), source })
            }
            Ok(()) => Ok(path.to_owned()),
            Err(error) => Err(ProgramError::NotExecutable { path: path.to_owned(), source: error.into() }),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(path))
        .find(|candidate| candidate.is_file() && access(candidate, AccessFlags::X_OK).is_ok());
    found.ok_or_else(|| ProgramError::NotFound(path.to_owned()))
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

/// Takes a descriptor that was passed to this process by its number. Each number may be taken once.
pub(crate) fn take_descriptor(number: RawFd) -> OwnedFd {
    // SAFETY: it is open, and nobody else's: whoever has started this process says that it was passed, the
    // caller has asked whether it is there before anything else was opened, and takes it once.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Closes descriptors whose owners, in a forked child, are the parent's and will never be dropped.
pub fn close_in_child<'a>(descriptors: impl IntoIterator<Item = BorrowedFd<'a>>) {
    for descriptor in descriptors {
        // SAFETY: the child ends by `_exit`, without using or dropping what owned them in the parent.
        unsafe { libc::close(descriptor.as_raw_fd()) };
    }
}

fn put_at(descriptor: RawFd, place: RawFd) -> io::Result<()> {
    // SAFETY: the process is about to execute another program; what had the place is not used again.
    let put = unsafe { libc::dup2(descriptor, place) };
    if put < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_would_find_it() {
        let find = |name: &str| Program::find(&[name.into()]);
        assert_eq!(find("sh").unwrap().path().file_name().unwrap(), "sh");
        assert!(find("/bin/sh").is_ok());
        assert!(matches!(find("no-such-program"), Err(ProgramError::NotFound(_))));
        assert!(matches!(find("./no-such-program"), Err(ProgramError::NotFound(_))));
        assert!(matches!(find("/etc/passwd"), Err(ProgramError::NotExecutable { .. })));
        assert!(matches!(find("/etc"), Err(ProgramError::NotExecutable { .. })));
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // A test runs in a thread of its own.
        let refused = fork_child(&SigSet::empty(), || 0).unwrap_err();
        assert!(refused.to_string().contains("threads must not fork"), "{refused}");
    }
}
