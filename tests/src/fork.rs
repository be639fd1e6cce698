//! Forking, as a prefork server does.
#![expect(unsafe_code, reason = "to fork is the point")]

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

/// Forks a child that does `work` and ends.
///
/// # Panics
///
/// When the system gives no process.
pub fn fork(work: impl FnOnce()) -> Pid {
    // SAFETY: the child does what a prefork server's child does, and ends without returning.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            work();
            // SAFETY: ends this process without the parent's destructors.
            unsafe { libc::_exit(0) }
        }
    }
}

/// Waits for a child's end, which is to be a good one.
///
/// # Panics
///
/// When it is not.
pub fn wait_for_child(child: Pid) {
    let status = waitpid(child, None).unwrap();
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
}
