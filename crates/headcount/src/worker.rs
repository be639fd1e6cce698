//! The worker's side of life under a supervisor: take the listener, say ready, learn that it is time to
//! drain.
//!
//! The protocol is systemd's, so any supervisor that speaks it will do: sockets come by `LISTEN_FDS` and
//! `LISTEN_FDNAMES`, readiness goes to `NOTIFY_SOCKET`, and `SIGTERM` means: finish what you have
//! accepted, take nothing new, and exit.
//!
//! ```no_run
//! use headcount::worker::Worker;
//!
//! let mut worker = Worker::from_environment()?;
//! let listener = match worker.take_tcp_listener("http") {
//!     Some(listener) => listener,
//!     // Not under a supervisor.
//!     None => std::net::TcpListener::bind("127.0.0.1:8000")?,
//! };
//! let drain = worker.drain()?;
//! worker.ready()?;
//! // Accept from `listener` until `drain.is_requested()`.
//! # let _ = (listener, drain);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![expect(unsafe_code, reason = "descriptors that come by number have to be believed once")]

use std::io::{self, Read};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use signal_hook::consts::SIGTERM;

use crate::notify::Notifier;

/// What the supervisor has given to this process.
#[derive(Debug)]
pub struct Worker {
    slot: Option<u32>,
    notifier: Option<Notifier>,
    /// Sockets by name, in the order in which they were passed.
    sockets: Vec<(String, OwnedFd)>,
    requests: Requests,
}

/// What a worker has answered, and may.
#[derive(Debug, Default)]
struct Requests {
    counted: AtomicU64,
    /// `None` if there is no limit.
    limit: Option<u64>,
}

impl Worker {
    /// Takes the sockets that were passed to this process. Without a supervisor there are none.
    ///
    /// Call it once, before threads are started: a second call finds nothing.
    ///
    /// # Errors
    ///
    /// When the environment names descriptors that do not exist, or a socket that cannot be.
    pub fn from_environment() -> io::Result<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let slot = std::env::var("HEADCOUNT_SLOT").ok().and_then(|slot| slot.parse().ok());
        let notifier = Notifier::from_environment()?;
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(Self { slot, notifier, sockets: Vec::new(), requests: Requests::from_environment() });
        }
        let sockets = sd_notify::listen_fds_with_names()?
            // SAFETY: the parent passed these descriptors to this process, as the protocol has it and
            // `LISTEN_PID` confirms; nobody else takes them, because this runs once.
            .map(|(descriptor, name)| (name, unsafe { OwnedFd::from_raw_fd(descriptor) }))
            .collect();
        Ok(Self { slot, notifier, sockets, requests: Requests::from_environment() })
    }

    /// The worker that a child is which was forked to go on as its parent, with sockets that the parent kept
    /// for it. The rest is in its environment.
    ///
    /// # Errors
    ///
    /// When the environment names a socket that cannot be.
    pub fn forked(sockets: Vec<(String, OwnedFd)>) -> io::Result<Self> {
        let slot = std::env::var("HEADCOUNT_SLOT").ok().and_then(|slot| slot.parse().ok());
        let (notifier, requests) = (Notifier::from_environment()?, Requests::from_environment());
        Ok(Self { slot, notifier, sockets, requests })
    }

    /// This worker's slot, a small number that its successor has, too; `None` without a supervisor.
    #[must_use]
    pub fn slot(&self) -> Option<u32> {
        self.slot
    }

    /// Takes the socket that was passed under `name`, or `None` if there is none left of that name.
    pub fn take_socket(&mut self, name: &str) -> Option<OwnedFd> {
        let at = self.sockets.iter().position(|(known, _)| known == name)?;
        Some(self.sockets.remove(at).1)
    }

    /// Takes a TCP listener.
    ///
    /// Whether it blocks is not this worker's alone: the socket is one and the same in all of them, and
    /// `set_nonblocking` in one is felt by the others, those of an older generation included. `headcount run`
    /// passes sockets that block. A program that wants otherwise says so at once, and never takes it back.
    pub fn take_tcp_listener(&mut self, name: &str) -> Option<TcpListener> {
        self.take_socket(name).map(TcpListener::from)
    }

    /// Takes a Unix listener; see [`take_tcp_listener`](Self::take_tcp_listener).
    pub fn take_unix_listener(&mut self, name: &str) -> Option<UnixListener> {
        self.take_socket(name).map(UnixListener::from)
    }

    /// Tells the supervisor that this worker serves. Without one, does nothing.
    ///
    /// # Errors
    ///
    /// When the supervisor's socket cannot be written to.
    pub fn ready(&self) -> io::Result<()> {
        crate::expiry::look_after();
        sd_notify::notify(&[NotifyState::Ready])
    }

    /// How often at least the supervisor wants to hear that this worker is [alive](Self::alive); `None` if it
    /// does not ask. Say it three times as often, from where work would not go on if the worker hung.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    /// Tells the supervisor that this worker does not hang. Without one, does nothing. Never waits: a
    /// supervisor that is too busy to hear it has been told often enough.
    ///
    /// # Errors
    ///
    /// When nobody listens at the supervisor's socket.
    pub fn alive(&self) -> io::Result<()> {
        self.notifier.as_ref().map_or(Ok(()), |notifier| notifier.send("WATCHDOG=1\n").map(drop))
    }

    /// Counts requests that this worker has answered. When there are as many as `--max-requests` allows, the
    /// supervisor is told, and replaces it: first a successor serves, then this one gets `SIGTERM`. Without a
    /// supervisor, or a limit, only counts.
    ///
    /// # Errors
    ///
    /// When nobody listens at the supervisor's socket.
    pub fn count_requests(&self, count: u64) -> io::Result<()> {
        let before = self.requests.counted.fetch_add(count, Ordering::Relaxed);
        match (&self.notifier, self.requests.limit) {
            // A message for which there was no room is followed by the next request's.
            (Some(notifier), Some(limit)) if before.saturating_add(count) >= limit => {
                notifier.send("X_HEADCOUNT_EXPIRED=1\n").map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Tells the supervisor that this worker takes nothing new. Without one, does nothing.
    ///
    /// # Errors
    ///
    /// When the supervisor's socket cannot be written to.
    pub fn stopping(&self) -> io::Result<()> {
        sd_notify::notify(&[NotifyState::Stopping])
    }

    /// From here on `SIGTERM` does not end the process, but is told by what is returned.
    ///
    /// # Errors
    ///
    /// When no handler can be installed.
    pub fn drain(&self) -> io::Result<Drain> {
        let (reader, writer) = UnixStream::pair()?;
        let requested = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGTERM, Arc::clone(&requested))?;
        signal_hook::low_level::pipe::register(SIGTERM, writer)?;
        Ok(Drain { requested, reader })
    }
}

impl Requests {
    fn from_environment() -> Self {
        let limit = std::env::var("HEADCOUNT_MAX_REQUESTS").ok().and_then(|limit| limit.parse().ok());
        Self { limit, ..Self::default() }
    }
}

/// Tells when it is time to drain.
#[derive(Debug)]
pub struct Drain {
    requested: Arc<AtomicBool>,
    reader: UnixStream,
}

impl Drain {
    /// Whether it is time.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Waits until it is time.
    pub fn wait(&self) {
        while !self.is_requested() {
            // A signal that interrupts the read, or the byte of the one that ends it: the flag tells.
            let _ = (&self.reader).read(&mut [0]);
        }
    }

    /// A stream that does not block and is readable as soon as it is time, for a runtime:
    /// `tokio::net::UnixStream::from_std(drain.into_stream()?)?.readable().await`.
    ///
    /// # Errors
    ///
    /// When the stream cannot be made not to block.
    pub fn into_stream(self) -> io::Result<UnixStream> {
        self.reader.set_nonblocking(true)?;
        Ok(self.reader)
    }
}

/// Readable as soon as it is time: for `poll`.
impl AsFd for Drain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_supervisor_there_is_nothing_to_take_and_nobody_to_tell() {
        let mut worker = Worker::from_environment().unwrap();
        assert_eq!(worker.slot(), None);
        assert!(worker.take_tcp_listener("http").is_none());
        worker.ready().unwrap();
        worker.stopping().unwrap();
    }

    #[test]
    fn taking_a_listener_does_not_change_it_under_the_other_workers() {
        let shared = TcpListener::bind("127.0.0.1:0").unwrap();
        shared.set_nonblocking(true).unwrap();
        let passed = shared.try_clone().unwrap().into();
        let sockets = vec![("http".to_owned(), passed)];
        let mut worker = Worker { slot: None, notifier: None, sockets, requests: Requests::default() };
        let taken = worker.take_tcp_listener("http").unwrap();
        for listener in [taken, shared] {
            assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn a_term_signal_is_told_and_does_not_end_the_process() {
        let drain = Worker::from_environment().unwrap().drain().unwrap();
        assert!(!drain.is_requested());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        drain.wait();
        assert!(drain.is_requested());
        drain.wait();
    }
}
