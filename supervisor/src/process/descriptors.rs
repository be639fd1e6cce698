//! Descriptors by their numbers: what a program is passed, and what was left to this one.
//!
//! # Safety
//!
//! One rule: a number is owned by whoever was given it, once.
#![expect(unsafe_code, reason = "descriptors by number have no safe interface")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::stat::Mode;

/// The first descriptor that is passed by `LISTEN_FDS`.
const FIRST_PASSED: RawFd = 3;

/// Makes these the standard output and error of a forked child; without them it has its parent's.
pub(crate) fn redirect_output(outputs: Option<[BorrowedFd<'_>; 2]>) -> io::Result<()> {
    let mut outputs = outputs.into_iter().flatten().zip(1..);
    outputs.try_for_each(|(output, place)| put_at(output.as_raw_fd(), place))
}

/// Puts `sockets` at the descriptors from 3 on and lets the program have nothing else but its standard
/// three; of these, input comes from nowhere.
pub(super) fn pass_descriptors(sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
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

/// What becomes of a descriptor when another program is executed.
#[derive(Clone, Copy, Debug)]
pub(super) enum AtExec {
    Open,
    Closed,
}

/// Says what becomes of a descriptor that the caller holds open.
pub(super) fn leave_open(number: RawFd, at_exec: AtExec) -> io::Result<()> {
    let flag = match at_exec {
        AtExec::Open => FdFlag::empty(),
        AtExec::Closed => FdFlag::FD_CLOEXEC,
    };
    // SAFETY: borrowed for one call that sets flags.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(descriptor, FcntlArg::F_SETFD(flag))?;
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
    leave_open(number, AtExec::Closed)?;
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
