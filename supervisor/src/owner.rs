//! A supervisor that runs, found from outside: by the lock on its metrics directory.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use headcount_store::directory::{Directory, LOCK_NAME, LockError, OpenError};
use headcount_store::process::start_time;

use crate::pool::Pid;
use crate::runtime_dir;

/// A supervisor, and its metrics directory.
#[derive(Debug)]
pub struct Owner {
    /// The metrics directory.
    pub directory: Directory,
    /// The supervisor.
    pub pid: Pid,
    /// When it started, in clock ticks since boot: with the PID, this process and no other.
    started: u64,
}

/// There is no supervisor to be found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The directory cannot be opened.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// The lock cannot be looked at.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Nobody holds the lock.
    #[error("no supervisor runs in {}", .0.display())]
    NotRunning(PathBuf),
    /// Whoever holds the lock has not said its PID as a supervisor does.
    #[error("{} is in use by {holder}, which is no supervisor", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What the holder wrote into the lock file.
        holder: String,
    },
    /// The PID is not that of the holder here.
    #[error("{} is held by {holder} of another PID namespace: ask there", path.display())]
    Elsewhere {
        /// The directory.
        path: PathBuf,
        /// What the holder wrote into the lock file.
        holder: String,
    },
    /// No directory was named, and there is no supervisor with one of its own.
    #[error("no supervisor of this user has a metrics directory of its own: name one with --dir")]
    Nowhere,
    /// No directory was named, and there are several supervisors.
    #[error("there are several supervisors: name one's directory with --dir, {}", listed(.0))]
    Several(Vec<PathBuf>),
}

impl Owner {
    /// Finds the supervisor of a directory, or the only one that has a directory of its own.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not to be told from others.
    pub fn find(directory: Option<&Path>) -> Result<Self, FindError> {
        if let Some(path) = directory {
            return Self::of(path);
        }
        let mut found: Vec<_> = runtime_dir::all().iter().filter_map(|path| Self::of(path).ok()).collect();
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(FindError::Nowhere),
            (Some(last), false) => {
                let path = |owner: &Self| owner.directory.path().to_owned();
                Err(FindError::Several(found.iter().chain([&last]).map(path).collect()))
            }
        }
    }

    fn of(path: &Path) -> Result<Self, FindError> {
        let directory = Directory::open(path)?;
        let path = || path.to_owned();
        let holder = directory.owner()?.ok_or_else(|| FindError::NotRunning(path()))?;
        let Some(pid) = holder.strip_prefix(PREFIX).and_then(|pid| pid.parse::<u32>().ok()) else {
            return Err(FindError::Foreign { path: path(), holder });
        };
        let raw = i32::try_from(pid).ok().filter(|&raw| raw > 0);
        match (raw, start_time(pid).filter(|_| has_open(pid, &directory))) {
            (Some(raw), Some(started)) => Ok(Self { directory, pid: Pid::from_raw(raw), started }),
            _ => Err(FindError::Elsewhere { path: path(), holder }),
        }
    }

    /// What a supervisor writes into the lock file.
    #[must_use]
    pub fn name(pid: Pid) -> String {
        format!("{PREFIX}{pid}")
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_time(self.pid.as_raw().unsigned_abs()) == Some(self.started)
    }
}

const PREFIX: &str = "headcount, PID ";

/// Whether a process has the directory's lock file open; so, too, if that is not to be seen.
fn has_open(pid: u32, directory: &Directory) -> bool {
    let Ok(lock) =
        directory.open_file(LOCK_NAME.as_ref()).map_err(drop).and_then(|file| file.metadata().map_err(drop))
    else {
        return false;
    };
    let is_lock = |found: io::Result<std::fs::DirEntry>| {
        let found = found.and_then(|entry| std::fs::metadata(entry.path()));
        found.is_ok_and(|found| (found.dev(), found.ino()) == (lock.dev(), lock.ino()))
    };
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(true, |mut open| open.any(is_lock))
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lock_that_is_held_by_the_process_it_names_leads_to_a_supervisor() {
        let temporary = tempfile::tempdir().unwrap();
        let find = || Owner::find(Some(temporary.path()));
        assert!(matches!(find(), Err(FindError::NotRunning(_))));
        let directory = Directory::open(temporary.path()).unwrap();
        let own = nix::unistd::getpid();
        let lock = directory.lock(&Owner::name(own)).unwrap();
        let found = find().unwrap();
        assert!(found.pid == own && found.is_alive());
        drop(lock);
        assert!(matches!(find(), Err(FindError::NotRunning(_))), "what is written there is old");
        let lock = directory.lock("something else").unwrap();
        assert!(matches!(find(), Err(FindError::Foreign { .. })));
        drop(lock);
        // Nobody, and somebody else.
        for other in ["headcount, PID 4999999", "headcount, PID 0"] {
            let lock = directory.lock(other).unwrap();
            assert!(matches!(find(), Err(FindError::Elsewhere { .. })), "{other}");
            drop(lock);
        }
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let lock = directory.lock(&format!("{PREFIX}{}", child.id())).unwrap();
        assert!(matches!(find(), Err(FindError::Elsewhere { .. })));
        drop(lock);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
