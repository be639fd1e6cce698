//! A directory of the supervisor's own for as long as it runs, in memory where the system has a place
//! for that. What a supervisor that was killed has left there is removed by the next one.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use headcount_store::directory::{Directory, LockError, OpenError, OwnerLock};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

const PREFIX: &str = "headcount-";
/// The metrics directory of a supervisor that was given none, in its runtime directory.
pub const METRICS: &str = "metrics";

/// Removed when it is dropped.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
    /// Tells the next supervisor that this one is alive.
    lock: OwnerLock,
}

/// There is no place for the supervisor's own files.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirError {
    /// No directory can be created.
    #[error("cannot create a directory in {}", base.display())]
    Create {
        /// Where it was tried.
        base: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The new directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new directory cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl RuntimeDir {
    /// Creates a directory with mode 0700.
    ///
    /// # Errors
    ///
    /// When no place takes one.
    pub fn create(holder: &str) -> Result<Self, RuntimeDirError> {
        let base = base();
        remove_stale(&base);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&base);
        let folder = folder.map_err(|source| RuntimeDirError::Create { base, source })?;
        let lock = Directory::open(folder.path())?.lock(holder)?;
        Ok(Self { path: folder.keep(), lock })
    }

    /// The directory of the supervisor before this one, with its lock.
    pub(crate) fn take_over(path: PathBuf, lock: OwnedFd) -> Self {
        Self { path, lock: lock.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for RuntimeDir {
    /// What holds the lock.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        // What cannot be removed is left to the next supervisor.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The metrics directories of all supervisors that have none but their own, whether they still run or not.
#[must_use]
pub fn all() -> Vec<PathBuf> {
    let mut bases: Vec<_> = candidates().chain([std::env::temp_dir()]).collect();
    bases.sort();
    bases.dedup();
    let entries = bases.iter().filter_map(|base| std::fs::read_dir(base).ok()).flatten().flatten();
    let ours = entries.filter(|entry| is_ours(&entry.file_name()));
    ours.map(|entry| entry.path().join(METRICS)).filter(|path| path.is_dir()).collect()
}

/// The first place in memory that takes files, or else the system's folder for temporary ones.
fn base() -> PathBuf {
    let in_memory = |path: &Path| statfs(path).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC);
    let writable = |path: &Path| nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok();
    candidates().find(|path| in_memory(path) && writable(path)).unwrap_or_else(std::env::temp_dir)
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    own.into_iter().chain(["/dev/shm".into()])
}

fn is_ours(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX))
}

/// Removes what nobody holds any more. What cannot be removed is somebody else's.
fn remove_stale(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let lock = entry.path().join(headcount_store::directory::LOCK_NAME);
        // A directory that is just being created has no lock file yet, or one that is not locked yet: whoever has
        // locked it writes into it.
        let was_locked = lock.metadata().is_ok_and(|found| found.is_file() && found.len() > 0);
        if is_ours(&entry.file_name())
            && was_locked
            && Directory::open(&entry.path()).is_ok_and(|stale| stale.lock("").is_ok())
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_directory_that_is_just_being_created_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let lock_of = |name: &str, content: &str| {
            let folder = base.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join(headcount_store::directory::LOCK_NAME), content).unwrap();
            folder
        };
        let (young, stale) = (lock_of("headcount-young", ""), lock_of("headcount-stale", "headcount, PID 1"));
        remove_stale(base.path());
        assert!(young.exists() && !stale.exists());
    }

    #[test]
    fn what_a_killed_supervisor_left_is_removed_by_the_next() {
        let killed = RuntimeDir::create("first").unwrap();
        let path = killed.path().to_owned();
        // Its lock ends with it, its files do not.
        let lock = killed.as_fd().as_raw_fd();
        std::mem::forget(killed);
        std::fs::write(path.join("left"), "x").unwrap();
        drop(crate::process::inherit(lock).unwrap());
        let living = RuntimeDir::create("second").unwrap();
        assert!(!path.exists());
        let third = RuntimeDir::create("third").unwrap();
        assert!(living.path().exists() && third.path().exists());
        let path = third.path().to_owned();
        drop(third);
        assert!(!path.exists());
    }
}
