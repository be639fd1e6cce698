//! Children that have died: told first, let go of later.
#![expect(unsafe_code, reason = "waitid without reaping has no interface that knows all signals")]

use std::io;

use nix::unistd::Pid;

use crate::pool::Exit;

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
