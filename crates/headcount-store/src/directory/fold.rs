//! Folding: an archive takes the place of many dead processes' files, and no reader counts twice.
//!
//! The archive is filled under a temporary name and gets its own by one rename, complete, with the list of
//! the files that it stands for. From then on readers pass over those; then they are removed. So at
//! whichever point the process is killed, each value counts once: before the rename in the old files,
//! afterwards in the archive. Whoever folds next removes what was left behind, before anything else: an
//! archive that is folded itself must have nothing left that only it lists.
//!
//! Nothing is synchronised to a disk. It is processes whose death nothing may be lost by; a machine's
//! takes the processes' own files, too.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use fs2::FileExt;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::bury::next_burial;
use super::name::{ARCHIVE, UNFINISHED};
use super::{Directory, FileName};
use crate::error::FileError;
use crate::format::source::Source;
use crate::read::Reader;

/// An archive could not be put in the place of other files. All values count as they did.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} in the metrics directory")]
pub struct FoldError {
    what: &'static str,
    source: io::Error,
}

impl FoldError {
    fn new(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { what, source }
    }
}

/// The right to fold in a directory: one process has it at a time, for as long as it keeps this.
#[derive(Debug)]
pub struct FoldRight<'a> {
    directory: &'a Directory,
    /// The archives and the buried files.
    names: Vec<FileName>,
    _lock: File,
}

impl Directory {
    /// Begins to fold, and ends what another process has begun; `None` while that is at it.
    ///
    /// It is for the directory's owner, who sees to it that no more than one process tries.
    ///
    /// # Errors
    ///
    /// When the directory cannot be locked or listed, or what is to be removed cannot be.
    pub fn begin_fold(&self) -> Result<Option<FoldRight<'_>>, FoldError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let opened = openat(self, ".", flags, Mode::empty()).map_err(io::Error::from);
        let lock = File::from(opened.map_err(FoldError::new("begin to fold"))?);
        match lock.try_lock_exclusive() {
            Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
                return Ok(None);
            }
            locked => locked.map_err(FoldError::new("begin to fold"))?,
        }
        let mut right = FoldRight { directory: self, names: Vec::new(), _lock: lock };
        if right.end_earlier()? {
            // What it has removed is not to be found any more.
            right.end_earlier()?;
        }
        Ok(Some(right))
    }
}

impl FoldRight<'_> {
    /// Takes note of what there is, and removes what an earlier fold has left behind, if it was killed. Tells
    /// whether there was any.
    fn end_earlier(&mut self) -> Result<bool, FoldError> {
        let listed = self.directory.list().map_err(FoldError::new("list files"))?;
        let mut removed = false;
        self.names.clear();
        for name in listed.iter().filter_map(|name| name.to_str()) {
            let Ok(Some(parsed)) = FileName::parse(name) else { continue };
            match parsed {
                FileName::Unfinished if name[1..].starts_with(ARCHIVE) => {
                    self.unlink(name).map_err(FoldError::new("remove an unfinished archive"))?;
                }
                FileName::Archive { .. } => {
                    // One that cannot be read stands for nothing.
                    let sources = self.open(name).and_then(|file| Reader::open(&file)?.read_sources());
                    removed |= self.remove(&sources.unwrap_or_default())?;
                }
                _ => {}
            }
            self.names.extend(Some(parsed).filter(|name| name.burial().is_some()));
        }
        Ok(removed)
    }

    /// The archives and the buried files, which could be folded.
    #[must_use]
    pub fn names(&self) -> &[FileName] {
        &self.names
    }

    /// Puts an archive into the directory, in the place of its sources, which are removed.
    ///
    /// # Errors
    ///
    /// When there is no space for it, or a source cannot be removed: then it is passed over by readers, and
    /// the next fold tries again.
    pub fn publish(&mut self, archive: &[u8], sources: &[Source]) -> Result<(), FoldError> {
        let failed = "write an archive";
        // Through the descriptor: the path may lead elsewhere by now.
        let place = format!("/proc/self/fd/{}", std::os::fd::AsFd::as_fd(self.directory).as_raw_fd());
        let unfinished = format!(".{ARCHIVE}");
        let mut file = tempfile::Builder::new()
            .prefix(&unfinished)
            .suffix(UNFINISHED)
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(place)
            .map_err(FoldError::new(failed))?;
        file.write_all(archive).map_err(FoldError::new(failed))?;
        let temporary = file.into_temp_path();
        let from = temporary.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let mut number = next_burial(&self.names);
        loop {
            let name = FileName::Archive { number };
            match self.directory.rename_to_free(from, &name.to_string()) {
                Err(Errno::EEXIST) => number += 1,
                renamed => break renamed.map_err(io::Error::from).map_err(FoldError::new(failed))?,
            }
        }
        // There is nothing of that name any more.
        let _ = temporary.keep();
        self.remove(sources)?;
        let folded: HashSet<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        self.names.retain(|name| !folded.contains(name.to_string().as_str()));
        self.names.push(FileName::Archive { number });
        Ok(())
    }

    /// Tells whether any of them was there.
    fn remove(&self, sources: &[Source]) -> Result<bool, FoldError> {
        let mut removed = false;
        for source in sources {
            // Nobody takes a name away from a file that has it: what was looked at is what is removed.
            if self.is_there(source) {
                self.unlink(&source.name).map_err(FoldError::new("remove a file that was folded"))?;
                removed = true;
            }
        }
        Ok(removed)
    }

    fn is_there(&self, source: &Source) -> bool {
        let Ok(Some(name)) = FileName::parse(&source.name) else { return false };
        let found = self.open(&source.name).and_then(|file| Source::of(&name, &file));
        name.burial().is_some() && found.is_ok_and(|found| found == *source)
    }

    fn open(&self, name: &str) -> Result<File, FileError> {
        self.directory.open_file(OsStr::new(name))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        match unlinkat(self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::archive::ArchiveBuilder;
    use crate::format::header::Header;
    use crate::process::{Origin, ProcessId};

    fn archive(created: u64, sources: &[Source]) -> Vec<u8> {
        let header = Header {
            process: ProcessId::default(),
            origin: Origin::default(),
            created,
            extent_count: 0,
            records_used: 0,
            lost_series: 0,
            lost_updates: 0,
            lost_exemplars: 0,
            folded: 1,
        };
        ArchiveBuilder::default().encode(&header, sources)
    }

    fn names(directory: &Directory) -> Vec<String> {
        directory.list().unwrap().iter().map(|name| name.to_str().unwrap().to_owned()).collect()
    }

    fn source(directory: &Directory, name: &str) -> Source {
        let parsed = FileName::parse(name).unwrap().unwrap();
        Source::of(&parsed, &directory.open_file(name.as_ref()).unwrap()).unwrap()
    }

    #[test]
    fn an_archive_takes_the_place_of_its_sources_and_a_number_beyond_theirs() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        for name in ["counter_1.dead-4.db", "counter_1.dead-7.db", "counter_2.db"] {
            std::fs::write(temporary.path().join(name), "").unwrap();
        }
        let sources = [source(&directory, "counter_1.dead-4.db")];
        let mut right = directory.begin_fold().unwrap().unwrap();
        assert!(directory.begin_fold().unwrap().is_none(), "one at a time");
        right.publish(&archive(1, &sources), &sources).unwrap();
        assert_eq!(names(&directory), ["archive-8.hc", "counter_1.dead-7.db", "counter_2.db"]);
        let mode = temporary.path().join("archive-8.hc").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o444, 0o444, "whoever reads processes' files reads archives");
    }

    #[test]
    fn what_a_killed_fold_has_left_behind_is_removed_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(temporary.path().join(name), bytes).unwrap();
        put(".archive-x.hc.new", b"half");
        put(".1-0000000000000001.hc.new", b"of a process");
        put("counter_1.dead-0.db", b"");
        put("counter_2.dead-1.db", b"");
        put("archive-2.hc", &archive(5, &[]));
        let folded = [source(&directory, "counter_1.dead-0.db"), source(&directory, "archive-2.hc")];
        // Of the same name as one that was folded, but another.
        let other = Source { name: "counter_2.dead-1.db".into(), identity: 0 };
        put("archive-3.hc", &archive(6, &[&folded[..], &[other]].concat()));
        drop(directory.begin_fold().unwrap().unwrap());
        assert_eq!(names(&directory), [".1-0000000000000001.hc.new", "archive-3.hc", "counter_2.dead-1.db"]);
    }
}
