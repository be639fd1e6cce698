//! Folding: many dead processes' files become one archive, a step at a time.
//!
//! What is in a step's files is gathered as for a scrape, together with the archive that is there, and put
//! in their place at once. What cannot be read, or written by somebody still, stays as it is.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::time::{Duration, Instant};

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, FoldError, FoldRight, is_locked};
use headcount_store::format::record::TooLong;
use headcount_store::format::source::Source;

use crate::archive::encode;
use crate::files::Found;
use crate::known::{Known, Scratch};
use crate::liveness::Judge;
use crate::tally::Tally;

/// Files that one step folds at most.
const MAX_FILES: usize = 64;
/// Bytes of files that one step folds at most, if it is more than one file.
const MAX_BYTES: u64 = 16 << 20;

/// Folds the files of dead processes, for the owner of a directory.
#[derive(Debug)]
pub struct Folder {
    foreign: Foreign,
    /// Whether what an earlier process may have left behind has been looked for.
    has_begun: bool,
    /// How many files the next step tries.
    files: usize,
    /// Files that are left as they are: they cannot be read, or hold more than an archive has room for.
    set_aside: HashSet<String>,
}

/// What becomes of Python's and Ruby's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// They are folded as our own.
    Fold,
    /// They stay: their own client looks at them, too, and cannot read an archive.
    Leave,
}

/// What a step has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many files are in the archive now that were not.
    pub files: usize,
    /// Whether another step would find something to do.
    pub is_more: bool,
}

/// A step has failed. All values count as they did.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The directory cannot be listed.
    #[error("cannot list the metrics directory")]
    List(#[source] std::io::Error),
    /// The archive cannot take the files' place.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

impl Folder {
    /// Begins with nothing that is known.
    #[must_use]
    pub fn new(foreign: Foreign) -> Self {
        Self { foreign, has_begun: false, files: MAX_FILES, set_aside: HashSet::new() }
    }

    /// Folds the oldest files of dead processes, if there are at least so many: some dozens, and then more
    /// until the time is over.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed or written to.
    pub fn step(
        &mut self,
        directory: &Directory,
        at_least: usize,
        time: Duration,
    ) -> Result<Folded, FolderError> {
        let start = Instant::now();
        let at_least = at_least.max(1);
        // To look is cheaper than to begin.
        if self.has_begun {
            let listed = directory.list().map_err(FolderError::List)?;
            let burials = listed.iter().filter_map(|name| FileName::parse(name.to_str()?).ok().flatten());
            if burials.filter(|name| self.is_candidate(name)).count() < at_least {
                return Ok(Folded::default());
            }
        }
        let Some(mut right) = directory.begin_fold()? else { return Ok(Folded::default()) };
        self.has_begun = true;
        let mut candidates: Vec<FileName> =
            right.names().iter().filter(|name| self.is_candidate(name)).cloned().collect();
        candidates.sort_by_key(FileName::burial);
        let names: HashSet<String> = right.names().iter().map(FileName::to_string).collect();
        self.set_aside.retain(|name| names.contains(name));
        let mut folded = Folded::default();
        while candidates.len() >= at_least {
            let files = self.fold(directory, &mut right, &mut candidates)?;
            folded.files += files;
            if files == 0 || start.elapsed() >= time {
                folded.is_more = files > 0 && candidates.len() >= at_least;
                break;
            }
        }
        Ok(folded)
    }

    /// Whether a file is a dead process's, and to be folded.
    fn is_candidate(&self, name: &FileName) -> bool {
        let is_foldable = match name {
            FileName::Dead { .. } => true,
            FileName::Peer(peer) => peer.buried.is_some() && self.foreign == Foreign::Fold,
            _ => false,
        };
        is_foldable && !self.set_aside.contains(&name.to_string())
    }

    /// Folds some files, beginning with the first, and takes those away that were looked at.
    fn fold(
        &mut self,
        directory: &Directory,
        right: &mut FoldRight<'_>,
        candidates: &mut Vec<FileName>,
    ) -> Result<usize, FolderError> {
        let mut step = Step::default();
        step.known.begin(None);
        step.inherit(directory, right.names());
        let archives = step.sources.len();
        let mut looked_at = 0;
        for name in &*candidates {
            let files = step.sources.len() - archives;
            if files >= self.files || (files > 0 && step.bytes >= MAX_BYTES) {
                break;
            }
            looked_at += 1;
            if let Err(error) = step.add(directory, name)
                && !matches!(error, FileError::Vanished | FileError::Unreadable(_))
            {
                self.set_aside.insert(name.to_string());
            }
        }
        let files = step.sources.len() - archives;
        if files == 0 {
            return Ok(0);
        }
        let Ok(archive) = step.encode(files) else {
            // Fewer at a time, until it is known which one it is.
            if files == 1 {
                self.set_aside.extend(step.sources.last().map(|source| source.name.clone()));
            }
            self.files = if files == 1 { MAX_FILES } else { files / 2 };
            return Ok(0);
        };
        right.publish(&archive, &step.sources)?;
        candidates.drain(..looked_at);
        self.files = MAX_FILES.min(self.files * 2);
        Ok(files)
    }
}

/// What is to become one archive.
#[derive(Default)]
struct Step {
    known: Known,
    tally: Tally,
    judge: Judge,
    scratch: Scratch,
    sources: Vec<Source>,
    bytes: u64,
}

impl Step {
    /// Begins with the archives that are there.
    fn inherit(&mut self, directory: &Directory, names: &[FileName]) {
        let mut archives = Vec::new();
        for name in names.iter().filter(|name| matches!(name, FileName::Archive { .. })) {
            let read = |step: &mut Self, found: Found<'_>| {
                archives.extend(step.known.read_archive(found, &mut step.tally)?);
                Ok(())
            };
            // One that cannot be read is reported by every scrape, and stands for nothing.
            let _ = self.take(directory, name, read);
        }
        self.tally.inherit(archives, &mut self.known.index);
    }

    /// Adds a file, unless it is written still.
    fn add(&mut self, directory: &Directory, name: &FileName) -> Result<(), FileError> {
        self.take(directory, name, |step, found| {
            let Self { known, tally, judge, scratch, .. } = step;
            known.read_file(found, None, judge, tally, scratch)
        })
    }

    /// Reads a file, unless it is written still, and notes that it is to be stood for.
    fn take(
        &mut self,
        directory: &Directory,
        name: &FileName,
        read: impl FnOnce(&mut Self, Found<'_>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let text = name.to_string();
        let file = directory.open_file(OsStr::new(&text))?;
        if is_locked(&file) {
            return Ok(());
        }
        let len = file.metadata().map_err(FileError::Unreadable)?.len();
        let source = Source::of(name, &file)?;
        let inode = self.known.files.admit(file)?;
        read(self, Found { name, inode })?;
        self.sources.push(source);
        self.bytes += len;
        Ok(())
    }

    fn encode(&mut self, files: usize) -> Result<Vec<u8>, TooLong> {
        let Self { known, tally, sources, .. } = self;
        tally.totals.grow(known.index.slots());
        encode(&known.index, tally, sources, tally.files.folded.saturating_add(files as u64))
    }
}
