//! Whether a directory has changed since it was listed.
//!
//! The kernel notes when a name was last added, removed or changed, by a clock that stands still for some milliseconds at
//! a time. So a listing that was begun right after a change may miss another one that has the same time.

use std::io;
use std::time::{Duration, SystemTime};

use nix::sys::stat::fstat;

use super::Directory;

/// What a directory was at one moment. An equal one says that its names are those of then, if it
/// [is local](Directory::is_local).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    directory: (u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Twice as long as the kernel's clock ever stands still: it goes on a hundred times a second at least.
const TICK: Duration = Duration::from_millis(20);

impl Directory {
    /// What the directory is now.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn stamp(&self) -> io::Result<Stamp> {
        let status = fstat(self)?;
        Ok(Stamp {
            directory: (status.st_dev, status.st_ino),
            modified: (status.st_mtime, status.st_mtime_nsec),
            changed: (status.st_ctime, status.st_ctime_nsec),
        })
    }
}

impl Stamp {
    /// Whether whatever happens from `now` on has another time.
    #[must_use]
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let is_before = |(seconds, nanoseconds)| {
            let time = u64::try_from(seconds).ok().zip(u64::try_from(nanoseconds).ok());
            let since =
                |(seconds, nanoseconds)| Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds);
            time.is_some_and(|time| SystemTime::UNIX_EPOCH + since(time) + TICK < now)
        };
        is_before(self.modified) && is_before(self.changed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whatever_changes_a_name_changes_the_stamp_once_it_is_settled() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        fs::write(at("kept"), "").unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        assert!(!directory.stamp().unwrap().is_settled(SystemTime::now()), "it was just made");
        let settled = || {
            let stamp = directory.stamp().unwrap();
            while !stamp.is_settled(SystemTime::now()) {
                std::thread::yield_now();
            }
            assert_eq!(directory.stamp().unwrap(), stamp);
            stamp
        };
        let changes: [&dyn Fn(); 6] = [
            &|| fs::write(at("a"), "").unwrap(),
            &|| fs::rename(at("a"), at("b")).unwrap(),
            &|| fs::hard_link(at("b"), at("c")).unwrap(),
            &|| fs::rename(at("c"), at("d")).unwrap(),
            &|| fs::write(at("e"), "").and_then(|()| fs::rename(at("e"), at("d"))).unwrap(),
            &|| fs::remove_file(at("d")).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            let before = settled();
            fs::write(at("kept"), "what is in a file is no matter").unwrap();
            assert_eq!(directory.stamp().unwrap(), before);
            change();
            assert_ne!(directory.stamp().unwrap(), before, "{number}");
        }
    }
}
