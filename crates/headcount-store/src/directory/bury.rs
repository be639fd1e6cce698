//! Burying: a dead process's files leave the names that its PID would give them.
//!
//! Whoever reaps the process calls this first, while the zombie still holds the PID, so that no new
//! process of that number can be meant. One rename marks a file as a dead process's: `live` gauges no
//! longer count, the rest does. Python's and Ruby's `live` gauges, which are files of their own, are
//! removed instead, as Python's `mark_process_dead` does.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat2};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Directory, FileName, PeerName, PeerType};
use crate::process::pid_namespace;
use crate::read::Image;

/// What became of a process's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buried {
    /// Files that were renamed: they count on, as a dead process's.
    pub renamed: usize,
    /// Files that were removed: they held `live` gauges only, or nothing.
    pub removed: usize,
}

/// A file of a dead process could be neither renamed nor removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot bury {}", path.display())]
pub struct BuryError {
    /// The first file for which it failed; the others were tried.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Directory {
    /// Buries the files of the process `pid` of the caller's PID namespace, which is dead.
    ///
    /// Files of a process with the same number in another namespace stay, as long as it lives.
    ///
    /// # Errors
    ///
    /// When a file could be neither renamed nor removed; all of them are tried.
    pub fn bury(&self, pid: u32) -> Result<Buried, BuryError> {
        let own_namespace = pid_namespace();
        self.dispose(|name| match name {
            FileName::Process { pid: found, .. } if *found == pid => {
                if self.is_of_dead_process(name, own_namespace) { Fate::Rename } else { Fate::Stay }
            }
            FileName::Peer(peer) if peer.buried.is_none() && peer.is_of(pid) => match peer.metrics {
                PeerType::Gauge(mode) if mode.is_live() => Fate::Remove,
                _ => Fate::Rename,
            },
            _ => Fate::Stay,
        })
    }

    /// Buries every file of ours whose process has let go of it: by its death, whoever reaped it, or by
    /// replacing itself with another program. What such a process never wrote to is removed.
    ///
    /// For the owner of the directory, who may not see every process that writes there die.
    ///
    /// # Errors
    ///
    /// When a file could be neither renamed nor removed; all of them are tried.
    pub fn sweep(&self) -> Result<Buried, BuryError> {
        self.dispose(|name| {
            let FileName::Process { .. } = name else { return Fate::Stay };
            let Ok(file) = self.open_file(OsStr::new(&name.to_string())) else { return Fate::Stay };
            if is_locked(&file) {
                return Fate::Stay;
            }
            let blank = Image::read(&file).is_ok_and(|image| image.is_blank());
            if blank { Fate::Remove } else { Fate::Rename }
        })
    }

    fn dispose(&self, fate: impl Fn(&FileName) -> Fate) -> Result<Buried, BuryError> {
        let failed = |path: PathBuf, source| BuryError { path, source };
        let listed = self.list().map_err(|error| failed(self.path().to_owned(), error))?;
        let names: Vec<_> =
            listed.iter().filter_map(|name| FileName::parse(name.to_str()?).ok().flatten()).collect();
        let mut next = next_burial(&names);
        let mut buried = Buried::default();
        let mut first_failure = None;
        for name in &names {
            let done = match fate(name) {
                Fate::Stay => continue,
                Fate::Rename => self.rename(name, &mut next).map(|()| buried.renamed += 1),
                Fate::Remove => {
                    let name = name.to_string();
                    unlinkat(self, name.as_str(), UnlinkatFlags::NoRemoveDir).map(|()| buried.removed += 1)
                }
            };
            // What is gone has been buried by somebody else.
            if let Err(error) = done
                && error != Errno::ENOENT
            {
                first_failure.get_or_insert(failed(self.path().join(name.to_string()), error.into()));
            }
        }
        first_failure.map_or(Ok(buried), Err)
    }

    fn rename(&self, name: &FileName, next: &mut u64) -> nix::Result<()> {
        loop {
            let grave = match name {
                FileName::Peer(peer) => FileName::Peer(PeerName { buried: Some(*next), ..peer.clone() }),
                _ => FileName::Dead { number: *next },
            };
            *next += 1;
            match self.rename_to_free(&name.to_string(), &grave.to_string()) {
                Err(Errno::EEXIST) => {}
                renamed => return renamed,
            }
        }
    }

    pub(super) fn rename_to_free(&self, from: &str, to: &str) -> nix::Result<()> {
        match renameat2(self, from, self, to, RenameFlags::RENAME_NOREPLACE) {
            // A file system that does not know the flag: a hard link does not replace either.
            Err(Errno::EINVAL) => {
                nix::unistd::linkat(self, from, self, to, nix::fcntl::AtFlags::empty())?;
                unlinkat(self, from, UnlinkatFlags::NoRemoveDir)
            }
            renamed => renamed,
        }
    }

    /// Whether one of our files is of a dead process: of this namespace, whose reaper is asking, or of
    /// any, if nobody holds its lock any more.
    fn is_of_dead_process(&self, name: &FileName, own_namespace: u64) -> bool {
        let Ok(file) = self.open_file(OsStr::new(&name.to_string())) else { return false };
        if !is_locked(&file) {
            return true;
        }
        let image = Image::read(&file);
        image.is_ok_and(|image| image.header().process.pid_namespace == own_namespace)
    }
}

/// The number for the next burial or archive.
pub(super) fn next_burial(names: &[FileName]) -> u64 {
    names.iter().filter_map(FileName::burial).max().map_or(0, |last| last + 1)
}

enum Fate {
    Stay,
    Rename,
    Remove,
}

/// Whether the process that writes one of our files still has it open.
///
/// The lock is taken before the file gets its name and goes with the process, or with its memory when
/// it execs, whatever PID namespace it is in.
#[must_use]
pub fn is_locked(file: &std::fs::File) -> bool {
    // A shared lock, so that two who ask at once do not take each other for the writer.
    let is_locked = fs2::FileExt::try_lock_shared(file).is_err();
    if !is_locked {
        // To ask was to take it, and the file may stay open.
        let _ = fs2::FileExt::unlock(file);
    }
    is_locked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header::Header;
    use crate::process::{Origin, ProcessId};

    /// A file as a process would have left it: nobody holds its lock.
    fn left_behind(directory: &Directory, pid: u32, pid_namespace: u64) {
        let header = Header {
            process: ProcessId { pid, pid_namespace, start_time: 1 },
            origin: Origin::default(),
            created: 1,
            extent_count: 0,
            records_used: 0,
            lost_series: 0,
            lost_updates: u64::from(pid == 7),
            lost_exemplars: 0,
            folded: 0,
        };
        let mut bytes = header.encode().to_vec();
        bytes.resize(4096, 0);
        let name = FileName::Process { pid, token: pid_namespace };
        std::fs::write(directory.path().join(name.to_string()), bytes).unwrap();
    }

    fn files(directory: &Directory) -> Vec<String> {
        directory.list().unwrap().iter().map(|name| name.to_str().unwrap().to_owned()).collect()
    }

    fn directory() -> (tempfile::TempDir, Directory) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        (temporary, directory)
    }

    #[test]
    fn the_files_of_a_dead_process_are_renamed_and_its_live_gauges_removed() {
        let (temporary, directory) = directory();
        left_behind(&directory, 7, 1);
        left_behind(&directory, 8, 1);
        for name in ["counter_7.db", "gauge_all_7-0.db", "gauge_livesum_7.db", "counter_77.db", "dead-4.hc"] {
            std::fs::write(temporary.path().join(name), "").unwrap();
        }
        assert_eq!(directory.bury(7).unwrap(), Buried { renamed: 3, removed: 1 });
        assert_eq!(
            files(&directory),
            [
                "8-0000000000000001.hc",
                "counter_7.dead-6.db",
                "counter_77.db",
                "dead-4.hc",
                "dead-5.hc",
                "gauge_all_7-0.dead-7.db"
            ]
        );
        assert_eq!(directory.bury(7).unwrap(), Buried::default());
    }

    #[test]
    fn a_living_process_of_another_namespace_keeps_its_file() {
        let (_temporary, directory) = directory();
        left_behind(&directory, 7, 1);
        left_behind(&directory, 7, pid_namespace());
        let lock = |token: u64| {
            let name = FileName::Process { pid: 7, token }.to_string();
            let file = std::fs::OpenOptions::new().write(true).open(directory.path().join(name)).unwrap();
            fs2::FileExt::try_lock_exclusive(&file).unwrap();
            file
        };
        let (_foreign, _own) = (lock(1), lock(pid_namespace()));
        assert_eq!(directory.bury(7).unwrap(), Buried { renamed: 1, removed: 0 });
        assert_eq!(files(&directory), ["7-0000000000000001.hc", "dead-0.hc"]);
    }

    #[test]
    fn sweeping_buries_what_nobody_holds_and_removes_what_nobody_wrote_to() {
        let (_temporary, directory) = directory();
        left_behind(&directory, 7, 1);
        left_behind(&directory, 8, 1);
        left_behind(&directory, 9, 1);
        let held = std::fs::File::open(directory.path().join("9-0000000000000001.hc")).unwrap();
        fs2::FileExt::try_lock_exclusive(&held).unwrap();
        assert_eq!(directory.sweep().unwrap(), Buried { renamed: 1, removed: 1 });
        assert_eq!(files(&directory), ["9-0000000000000001.hc", "dead-0.hc"]);
    }
}
