//! What there is to say about a merge beside its result.

use std::ffi::OsString;
use std::fmt;

use headcount_store::FileError;

use crate::conflict::Conflict;

/// What there is to say about a merge beside its result.
#[derive(Debug, Default)]
pub struct Report {
    /// Files that were not read, in the order in which they were found.
    pub skipped: Vec<Skipped>,
    /// Families that were left out.
    pub conflicts: Vec<Conflict>,
    /// Files that were read.
    pub files: FileCounts,
    /// What processes could not record.
    pub lost: Lost,
}

/// How many files were read, by the client that wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Ours.
    pub own: usize,
    /// Those of Python's client, and those without entries.
    pub python: usize,
    /// Those of Ruby's client.
    pub ruby: usize,
    /// Files of dead processes that the archives among ours were folded from, over time.
    pub folded: u64,
    /// What all these take in the file system, and those that were skipped when they were opened already.
    pub bytes: u64,
}

/// What processes could not record, most often for want of space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Attempts to create a series.
    pub series: u64,
    /// Updates.
    pub updates: u64,
    /// Exemplars, also those that were refused.
    pub exemplars: u64,
}

/// A file that was not read.
#[derive(Debug)]
pub struct Skipped {
    /// Its name in the directory.
    pub name: OsString,
    /// Why not.
    pub error: FileError,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped {}: {}", self.name.display(), self.error)?;
        match std::error::Error::source(&self.error) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}
