//! Signals to others, and what becomes of those to this process.
#![expect(unsafe_code, reason = "dispositions and queued signals have no safe interface")]

use std::io;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

/// Whether a process has a handler for a signal, so that it would not die of it. `false` if it is gone.
#[must_use]
pub fn catches(pid: Pid, signal: Signal) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
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

/// Rust ignores `SIGPIPE` at start, and an ignored signal stays ignored over exec: most programs count on it.
pub(super) fn listen_to_broken_pipes() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(Signal::SIGPIPE, &default) }?;
    Ok(())
}
