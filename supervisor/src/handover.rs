//! What a supervisor leaves to the program that takes its place: open descriptors, and what they are.
//!
//! An upgrade is an `exec`: the process stays, and with it its PID, its children, the lock, the service
//! manager's trust and the PID file. The words are JSON in a file in memory, whose descriptor the environment
//! names. They have a version: a program that does not know it says so in its trial, and nothing has changed.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::pool::Snapshot;
use crate::process::inherit;
use crate::relay::RelayState;
use crate::sockets::SocketsState;

/// Names the descriptor with the words.
pub(crate) const VARIABLE: &str = "HEADCOUNT_HANDOVER";

/// Raised whenever an older program could not understand what is written.
pub(crate) const VERSION: u32 = 1;

/// Everything that one supervisor leaves to the next.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Handover {
    pub(crate) version: u32,
    /// Whether this is only a question: could you take over?
    pub(crate) is_trial: bool,
    pub(crate) pool: Snapshot,
    pub(crate) sockets: SocketsState,
    pub(crate) directory: PathBuf,
    pub(crate) lock: RawFd,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) runtime_lock: RawFd,
    pub(crate) notify: RawFd,
    /// The signals that were blocked when the first supervisor was started, by number.
    pub(crate) signal_mask: Vec<i32>,
    /// How workers' output is passed on.
    pub(crate) relay: Option<RelayState>,
    pub(crate) history: History,
}

/// What the supervisor's own metrics cannot know from their new file.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct History {
    /// In seconds since 1970.
    pub(crate) start_time: f64,
    /// 1 unless the last one failed.
    pub(crate) last_reload: f64,
    /// In seconds since 1970; 0 if there was none.
    pub(crate) last_reload_success: f64,
}

/// What was handed over cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// There are no words where the environment says they are.
    #[error("cannot read what the supervisor before this one has left in {VARIABLE}")]
    Read(#[source] io::Error),
    /// The words make no sense.
    #[error("cannot understand what the supervisor before this one has left")]
    Parse(#[from] serde_json::Error),
    /// They are of another version.
    #[error(
        "the supervisor before this one speaks version {0} of the hand-over, this one version {VERSION}: stop \
         it and start this one"
    )]
    Version(u32),
    /// A descriptor is not there.
    #[error("the supervisor before this one has not left {what}")]
    Descriptor {
        /// What it was to be.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What is asked for now is what an upgrade cannot change.
    #[error("the metrics directory is {}: an upgrade cannot change that, stop the supervisor first", .0.display())]
    Directory(PathBuf),
}

/// The version only, which must be understood whatever else has changed.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Handover {
    /// What the supervisor before this one has left to this process; `None` if there was none.
    ///
    /// # Errors
    ///
    /// When it left something that this program does not understand.
    pub(crate) fn from_environment() -> Result<Option<Self>, HandoverError> {
        let Some(descriptor) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let missing = || io::Error::from(io::ErrorKind::InvalidInput);
        let descriptor = descriptor.to_str().and_then(|number| number.parse().ok());
        let file = inherit(descriptor.ok_or_else(|| HandoverError::Read(missing()))?);
        let mut file = std::fs::File::from(file.map_err(HandoverError::Read)?);
        let mut words = String::new();
        // Whoever read it before has left the position at the end.
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut words));
        read.map_err(HandoverError::Read)?;
        let Versioned { version } = serde_json::from_str(&words)?;
        if version != VERSION {
            return Err(HandoverError::Version(version));
        }
        Ok(Some(serde_json::from_str(&words)?))
    }

    /// Writes it down, to be found by the program that is executed next.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub(crate) fn write(&self) -> io::Result<OwnedFd> {
        let mut file = std::fs::File::from(memfd_create(c"headcount-handover", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(file.into())
    }

    /// The descriptors that go with it.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let outputs = self.relay.iter().flat_map(RelayState::descriptors);
        self.sockets.descriptors().chain(outputs).chain([self.lock, self.runtime_lock, self.notify])
    }
}

/// Takes a descriptor over.
pub(crate) fn take(descriptor: RawFd, what: &'static str) -> Result<OwnedFd, HandoverError> {
    inherit(descriptor).map_err(|source| HandoverError::Descriptor { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn another_version_is_refused_whatever_else_it_says() {
        let words = r#"{"version": 99, "pool": "of another shape"}"#;
        let Versioned { version } = serde_json::from_str(words).unwrap();
        assert_ne!(version, VERSION);
        assert!(HandoverError::Version(version).to_string().contains("version 99"));
    }

    #[test]
    fn a_descriptor_that_is_not_there_is_named() {
        let error = take(12345, "the lock").unwrap_err();
        assert!(error.to_string().contains("the lock"), "{error}");
    }

    #[test]
    fn a_descriptor_that_was_taken_over_is_not_passed_on() {
        let kept = std::fs::File::open("/dev/null").unwrap();
        let copy = nix::fcntl::fcntl(&kept, nix::fcntl::FcntlArg::F_DUPFD(100)).unwrap();
        let taken = take(copy, "a file").unwrap();
        let flags = nix::fcntl::fcntl(&taken, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!((taken.as_raw_fd(), flags & 1), (copy, 1));
    }
}
