//! The files of a directory, kept from one gather to the next: what is known of each, and each open if it may stay so.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use foldhash::fast::RandomState;
use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, Watch};
use headcount_store::read::{OpenFile, may_map, spacious};

use crate::own::OwnFile;
use crate::peer::PeerContent;
use crate::roster::Entry;
use crate::tally::Tally;

/// All files that the last gather has found.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// By their inodes.
    all: HashMap<u64, KnownFile, RandomState>,
    /// Whether they stay open from one gather to the next.
    stay_open: bool,
    /// Whether this gather reads them through mappings.
    are_mapped: bool,
    /// The device and the inode of the directory that they are in.
    directory: Option<(u64, u64)>,
    watching: Watching,
}

/// Whether the directory is watched.
#[derive(Debug, Default)]
enum Watching {
    #[default]
    Untried,
    There(Watch),
    Refused,
}

/// With fewer files it costs less to ask each than it is worth to watch: a user has few watches.
const MANY: usize = 16;

impl Watching {
    fn is_quiet(&mut self, directory: &Directory) -> bool {
        let is_quiet = match self {
            Self::Untried => {
                *self = Watch::new(directory).map_or(Self::Refused, Self::There);
                return false;
            }
            Self::There(watch) => watch.is_quiet(directory),
            Self::Refused => return false,
        };
        is_quiet.unwrap_or_else(|_| {
            *self = Self::Refused;
            false
        })
    }
}

/// A file that was found in the directory.
#[derive(Debug, Default)]
pub(crate) struct KnownFile {
    /// As long as it is open, no other file can have its inode.
    pub(crate) open: Option<OpenFile>,
    /// Where it is known, it tells a file from a later one with the same inode.
    pub(crate) born: Option<SystemTime>,
    /// What it takes in the file system, in bytes.
    pub(crate) bytes: u64,
    /// How much of it was in use when that was looked at, in bytes.
    measured: u64,
    /// Whether this gather has found it.
    pub(crate) is_found: bool,
    pub(crate) own: Option<OwnFile>,
    pub(crate) peer: PeerContent,
}

/// A file that is open, by its inode, and what it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) name: &'a FileName,
    pub(crate) inode: u64,
}

impl Files {
    /// From now on files stay open from one gather to the next, and are mapped where that is safe.
    pub(crate) fn stay_open(&mut self) {
        self.stay_open = true;
    }

    /// None, to be kept in the same way as these.
    pub(crate) fn forgotten(&self) -> Self {
        Self { stay_open: self.stay_open, ..Self::default() }
    }

    /// Begins a gather of a directory, or of files of none: all files are yet to be found.
    pub(crate) fn begin(&mut self, directory: Option<&Directory>) {
        self.are_mapped = self.stay_open && may_map();
        let directory = directory.filter(|directory| directory.is_local());
        let identity = directory.map(Directory::identity);
        // Those of another directory may have the same inodes.
        let is_same = identity.is_some() && self.directory == identity;
        if !is_same {
            self.watching = Watching::Untried;
        }
        let watched = directory.filter(|_| self.stay_open && self.all.len() >= MANY);
        let is_quiet = watched.is_some_and(|directory| self.watching.is_quiet(directory));
        for known in self.all.values_mut() {
            known.is_found = false;
            drop(known.open.take_if(|_| !is_same));
            known.open.iter_mut().filter(|_| !is_quiet).for_each(OpenFile::doubt);
        }
        self.directory = identity;
    }

    /// Opens a file of the directory, unless it is open; returns its inode.
    pub(crate) fn open(&mut self, directory: &Directory, entry: &Entry) -> Result<u64, FileError> {
        entry.parsed()?;
        if let Some(open) = self.all.get_mut(&entry.inode).and_then(|known| known.open.as_mut()) {
            if self.are_mapped {
                open.map();
            } else {
                open.unmap();
            }
            // It has had this inode all the time, whatever its name has become.
            return Ok(entry.inode);
        }
        let file = directory.open_file(&entry.name)?;
        // Of a peer's file all has to be read once, and only then the little that is worth a mapping.
        if entry.metrics().is_some() { self.admit(file) } else { self.admit_mapped(file) }
    }

    /// Takes a file that was opened, and maps it; returns its inode.
    pub(crate) fn admit_mapped(&mut self, file: File) -> Result<u64, FileError> {
        let inode = self.admit(file)?;
        if let Some(open) = self.all.get_mut(&inode).and_then(|known| known.open.as_mut())
            && self.are_mapped
            && open.may_stay()
        {
            open.map();
        }
        Ok(inode)
    }

    /// Takes a file that was opened; returns its inode.
    pub(crate) fn admit(&mut self, file: File) -> Result<u64, FileError> {
        let metadata = file.metadata().map_err(FileError::Unreadable)?;
        let (inode, born) = (metadata.ino(), metadata.created().ok());
        let known = match self.all.entry(inode) {
            Place::Occupied(known) if known.get().open.is_some() => return Ok(inode),
            Place::Occupied(known) => known.into_mut(),
            Place::Vacant(place) => place.insert(KnownFile { born, ..KnownFile::default() }),
        };
        if born.is_none() || known.born != born {
            // It may be another file. One of ours tells by itself.
            known.peer = PeerContent::default();
            known.own.iter_mut().for_each(OwnFile::forget_archived);
        }
        let open = Some(OpenFile::from(file));
        (known.open, known.born, known.bytes, known.measured) = (open, born, allocated(&metadata), 0);
        Ok(inode)
    }

    /// Closes those that have been deleted.
    pub(crate) fn close_deleted(&mut self) {
        self.all.values_mut().for_each(|known| drop(known.open.take_if(|open| open.is_deleted())));
    }

    /// A file, and what is known of it.
    pub(crate) fn get(&self, inode: u64) -> Option<&KnownFile> {
        self.all.get(&inode)
    }

    /// The same, to learn more of it.
    pub(crate) fn get_mut(&mut self, inode: u64) -> Option<&mut KnownFile> {
        self.all.get_mut(&inode)
    }

    /// A file that is open, if it counts: unless this gather has found it under another name, or an archive that it has
    /// read stands for it.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    pub(crate) fn find(
        &mut self,
        found: Found<'_>,
        tally: &mut Tally,
    ) -> Result<Option<&mut KnownFile>, FileError> {
        let Some(known) = self.all.get_mut(&found.inode).filter(|known| !known.is_found) else {
            return Ok(None);
        };
        let Some(open) = &known.open else { return Ok(None) };
        if tally.is_covered(found.name, open.file())? {
            return Ok(None);
        }
        known.is_found = true;
        tally.files.bytes += known.bytes;
        Ok(Some(known))
    }

    /// Closes a file, unless it could be read and may stay open.
    pub(crate) fn let_go(&mut self, inode: u64, is_sound: bool) {
        if let Some(known) = self.all.get_mut(&inode) {
            drop(known.open.take_if(|open| !is_sound || !self.stay_open || !open.may_stay()));
            known.open.iter_mut().for_each(OpenFile::note_sound);
            known.measure();
        }
    }

    /// Forgets those that this gather has not found.
    pub(crate) fn forget_vanished(&mut self) {
        self.all.retain(|_, known| known.is_found);
    }
}

impl KnownFile {
    /// Looks how large it is, if more of it is in use than was when that was looked at last.
    fn measure(&mut self) {
        let in_use = self.own.as_ref().map_or(self.peer.in_use(), OwnFile::in_use);
        if let Some(open) = self.open.as_mut().filter(|_| in_use != self.measured)
            && let Ok(metadata) = open.file().metadata()
        {
            (self.bytes, self.measured) = (allocated(&metadata), in_use);
            open.note_len(spacious(&metadata));
        }
    }
}

/// Of so many bytes a block is in this field, whatever it is in the file system.
fn allocated(metadata: &Metadata) -> u64 {
    512 * metadata.blocks()
}
