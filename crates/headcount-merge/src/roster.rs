//! Which files a directory has, for as long as that does not change.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::time::SystemTime;

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, PeerType, Stamp};

/// What a listing has shown.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// What the directory was when the listing began; `None` if that would not tell of every change since.
    stamp: Option<Stamp>,
    /// In the order in which they are to be read.
    entries: Vec<Entry>,
    /// Whether it was seen that no archive stands for any of the others.
    is_free_of_sources: bool,
}

/// A file that is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    /// `None` of a name that is malformed: that is to be reported.
    parsed: Option<FileName>,
    /// What the name stood for.
    pub(crate) inode: u64,
    turn: Turn,
}

/// When a file is read. Archives come first, those with greater numbers before others: one that was folded itself has a
/// smaller number than the one that stands for it. Peers' files come last, one of each kind before all others, so that
/// these find its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Archive(Reverse<u64>),
    Own,
    FirstOfKind,
    Others,
}

impl Roster {
    /// Lists a directory.
    ///
    /// # Errors
    ///
    /// When it cannot be listed.
    pub(crate) fn list(directory: &Directory) -> io::Result<Self> {
        let now = SystemTime::now();
        let stamp = directory.stamp().ok().filter(|stamp| stamp.is_settled(now) && directory.is_local());
        let (mut entries, mut kinds) = (Vec::new(), Vec::new());
        for (name, inode) in directory.list_files()? {
            // What is no text is no name of ours.
            let parsed = match name.to_str().map(FileName::parse) {
                None | Some(Ok(None | Some(FileName::Lock | FileName::Unfinished))) => continue,
                Some(parsed) => parsed.ok().flatten(),
            };
            let turn = match &parsed {
                Some(FileName::Archive { number }) => Turn::Archive(Reverse(*number)),
                Some(FileName::Peer(peer)) if kinds.contains(&peer.metrics) => Turn::Others,
                Some(FileName::Peer(peer)) => {
                    kinds.push(peer.metrics);
                    Turn::FirstOfKind
                }
                _ => Turn::Own,
            };
            entries.push(Entry { name, parsed, inode, turn });
        }
        entries.sort_by_key(|entry| entry.turn);
        Ok(Self { stamp, entries, is_free_of_sources: false })
    }

    /// Whether the directory has these files still, and no others.
    pub(crate) fn is_current(&self, directory: &Directory) -> bool {
        self.stamp.is_some_and(|stamp| directory.stamp().is_ok_and(|now| now == stamp))
    }

    /// What there is that was not seen before.
    pub(crate) fn but_for<'a>(&'a self, seen: &HashSet<OsString>) -> Vec<&'a Entry> {
        self.entries.iter().filter(|entry| !seen.contains(&entry.name)).collect()
    }

    /// Notes that all archives were read, and none stands for any of the others.
    pub(crate) fn note_no_sources(&mut self) {
        self.is_free_of_sources = true;
    }

    /// Whether an archive may stand for any of these.
    pub(crate) fn may_have_sources(&self, entries: &[&Entry]) -> bool {
        // What an archive stands for was there before it, and is listed with it if it is there still.
        !self.is_free_of_sources && entries.iter().filter(|entry| entry.is_buried()).count() > 1
    }

    /// The names of all.
    pub(crate) fn into_names(self) -> impl Iterator<Item = OsString> {
        self.entries.into_iter().map(|entry| entry.name)
    }
}

impl Entry {
    /// What the name says.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub(crate) fn parsed(&self) -> Result<&FileName, FileError> {
        // An error cannot be kept and told again, so it is found again.
        let error = || FileName::parse(&self.name.to_string_lossy()).and(Err(FileError::NoProcess));
        self.parsed.as_ref().map_or_else(error, Ok)
    }

    /// Whether it stands for others.
    pub(crate) fn is_archive(&self) -> bool {
        matches!(self.turn, Turn::Archive(_))
    }

    /// Whether it goes away only by being folded.
    pub(crate) fn is_buried(&self) -> bool {
        self.parsed.as_ref().is_some_and(|name| name.burial().is_some())
    }

    /// What a peer's file holds; `None` for another file.
    pub(crate) fn metrics(&self) -> Option<PeerType> {
        match &self.parsed {
            Some(FileName::Peer(peer)) => Some(peer.metrics),
            _ => None,
        }
    }
}

/// Files as many at a time as are opened at once.
pub(crate) fn batches<'a>(entries: &'a [&'a Entry], len: usize) -> impl Iterator<Item = &'a [&'a Entry]> {
    let part = |entry: &Entry| (entry.metrics().is_some(), entry.turn == Turn::Others);
    entries.chunk_by(move |a, b| part(a) == part(b)).flat_map(move |entries| entries.chunks(len))
}
