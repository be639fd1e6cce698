//! The owner's lock: one supervisor to a directory.
//!
//! It is a `flock` on `headcount.lock`, and ends with the process by whatever signal. It belongs to the
//! open file, so a forked child shares it until it closes its copy: exec does that, and a child that
//! does not exec drops its [`OwnerLock`], which leaves the parent's alone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use fs2::FileExt;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::name::LOCK_NAME;
use super::{Directory, is_locked};
use crate::error::FileError;

/// Held as long as this process owns the directory.
#[derive(Debug)]
pub struct OwnerLock {
    file: File,
}

impl AsFd for OwnerLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The lock as a program that was executed in its holder's place has it: the lock belongs to the open file.
impl From<OwnedFd> for OwnerLock {
    fn from(descriptor: OwnedFd) -> Self {
        Self { file: descriptor.into() }
    }
}

/// The directory cannot be owned.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else owns it.
    #[error("{} is in use by {holder}: stop it, or use another directory", path.display())]
    Held {
        /// The directory.
        path: PathBuf,
        /// What the holder wrote into the lock file.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Directory {
    /// Becomes the directory's owner; `holder` tells others who that is, as in `headcount, PID 42`.
    ///
    /// # Errors
    ///
    /// When another process is the owner, or the lock file cannot be created.
    pub fn lock(&self, holder: &str) -> Result<OwnerLock, LockError> {
        let failed = |source| LockError::Io { path: self.path().join(LOCK_NAME), source };
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = openat(self, LOCK_NAME, flags, Mode::from_bits_truncate(0o644));
        let mut file = File::from(opened.map_err(|error| failed(error.into()))?);
        match try_lock(&file) {
            Ok(()) => {}
            Err(error) if is_contended(&error) => {
                let mut holder = String::new();
                let named =
                    (&file).take(200).read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let holder = if named { holder.trim() } else { "another process" }.to_owned();
                return Err(LockError::Held { path: self.path().to_owned(), holder });
            }
            Err(error) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
        Ok(OwnerLock { file })
    }

    /// The directory's owner, as it told when it [locked](Self::lock) it; `None` if nobody owns it.
    ///
    /// # Errors
    ///
    /// When the lock file is there and cannot be read.
    pub fn owner(&self) -> Result<Option<String>, LockError> {
        let path = || self.path().join(LOCK_NAME);
        let file = match self.open_file(LOCK_NAME.as_ref()) {
            Ok(file) => file,
            Err(FileError::Vanished) => return Ok(None),
            Err(error) => return Err(LockError::Io { path: path(), source: io::Error::other(error) }),
        };
        if !is_locked(&file) {
            return Ok(None);
        }
        let mut holder = String::new();
        let read = file.take(200).read_to_string(&mut holder);
        read.map_err(|source| LockError::Io { path: path(), source })?;
        Ok(Some(holder.trim().to_owned()))
    }
}

/// How often a lock is tried that somebody only looks at, and how long to wait in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// Locks a file. Whoever [asks](Directory::owner) whether it is locked holds it for a moment, which is waited for.
fn try_lock(file: &File) -> io::Result<()> {
    for _ in 1..TRIES {
        match FileExt::try_lock_exclusive(file) {
            Err(error) if is_contended(&error) && !is_locked(file) => {
                std::thread::sleep(PAUSE);
            }
            tried => return tried,
        }
    }
    FileExt::try_lock_exclusive(file)
}

fn is_contended(error: &io::Error) -> bool {
    error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_told_who_the_first_is() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let first = directory.lock("headcount, PID 42").unwrap();
        let refused = directory.lock("headcount, PID 43").unwrap_err();
        assert!(matches!(refused, LockError::Held { holder, .. } if holder == "headcount, PID 42"));
        assert_eq!(directory.owner().unwrap().as_deref(), Some("headcount, PID 42"));
        drop(first);
        assert_eq!(directory.owner().unwrap(), None);
        directory.lock("headcount, PID 43").unwrap();
    }
    #[test]
    fn an_owner_is_not_kept_out_by_those_who_ask_for_one() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        drop(directory.lock("first").unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        directory.owner().unwrap();
                    }
                });
            }
            let locked = (0..100).all(|_| directory.lock("again").is_ok());
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(locked);
        });
    }
}
