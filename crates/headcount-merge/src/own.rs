//! What one of our own files contributes: a process's, or an archive.
//!
//! Its descriptions are decoded once for all files that have the same: workers of one program register
//! the same metrics in the same order, so most often the bytes are equal. And they never change: of a
//! file that was read before and describes nothing new, only the cells are read. The bytes are not kept, as they are
//! many: a digest tells them from others.

use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

use foldhash::quality::RandomState;
use headcount_store::FileError;
use headcount_store::format::header::Header;
use headcount_store::read::{Cells, Outline, Reach, Reader};

use crate::described::decode;
use crate::estate::{Archived, Content};
use crate::index::Index;
use crate::layout::Layout;
use crate::marks::Marks;
use crate::native_layout::TableKeys;
use crate::native_places::NativePlaces;
use crate::tally::Tally;

/// What is known of one of our files.
#[derive(Debug)]
pub(crate) struct OwnFile {
    layout: Arc<Layout>,
    /// A later file with the same inode was created at another time.
    created: u64,
    /// The PID of the process.
    process_name: Arc<str>,
    /// What its header and its table of extents said.
    outline: Option<Outline>,
    /// Which places of its tables are known.
    places: NativePlaces,
    /// What an archive holds, once it was read.
    archived: Option<Arc<Archived>>,
}

/// Every set of descriptions that some file has.
#[derive(Debug, Default)]
pub(crate) struct Layouts {
    all: Vec<Kept>,
    /// Two, as files are told apart by what they make alone.
    hashers: [RandomState; 2],
}

#[derive(Debug)]
struct Kept {
    layout: Arc<Layout>,
    digest: Digest,
    /// One with all that this one has, and more.
    successor: Weak<Layout>,
}

/// What stands for descriptions: how long they are, and 128 bits made of them with secrets of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Digest {
    len: usize,
    hashes: [u64; 2],
}

impl Layouts {
    /// Finds or decodes the layout of a file, of which this much may be known.
    ///
    /// # Errors
    ///
    /// When the descriptions are malformed. A file is taken whole or not at all: the index has then learned
    /// nothing.
    pub(crate) fn resolve(
        &mut self,
        reader: &Reader<'_>,
        known: Option<OwnFile>,
        index: &mut Index,
    ) -> Result<OwnFile, FileError> {
        let &Header { created, records_used, process, .. } = reader.header();
        let known = match known.filter(|known| known.created == created) {
            Some(known) if known.layout.records_len as u64 == records_used => return Ok(known),
            known => known,
        };
        let mut records = Vec::new();
        reader.read_records(&mut records)?;
        let layout = self.find_or_decode(&records, index)?;
        if let Some(known) = known {
            let begins = records.get(..known.layout.records_len).map(|records| self.digest(records));
            let mut all = self.all.iter_mut();
            let old = all.find(|kept| Arc::ptr_eq(&kept.layout, &known.layout));
            if let Some(old) = old.filter(|old| begins == Some(old.digest)) {
                old.successor = Arc::downgrade(&layout);
            }
        }
        let process_name = process.pid.to_string().into();
        let places = NativePlaces::default();
        Ok(OwnFile { layout, created, process_name, outline: None, places, archived: None })
    }

    fn find_or_decode(&mut self, records: &[u8], index: &mut Index) -> Result<Arc<Layout>, FileError> {
        let digest = self.digest(records);
        if let Some(kept) = self.all.iter().find(|kept| kept.digest == digest) {
            return Ok(Arc::clone(&kept.layout));
        }
        let layout = Arc::new(decode(records, index)?);
        self.all.push(Kept { layout: Arc::clone(&layout), digest, successor: Weak::new() });
        Ok(layout)
    }

    fn digest(&self, records: &[u8]) -> Digest {
        let hashes = self.hashers.each_ref().map(|hasher| hasher.hash_one(records));
        Digest { len: records.len(), hashes }
    }

    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        self.all.iter().for_each(|kept| kept.layout.mark(marks));
    }

    /// Forgets the layouts that no file has any more, and tells whether the index may now hold what no file
    /// describes.
    pub(crate) fn forget_unused(&mut self) -> bool {
        let is_used = |kept: &mut Kept| Arc::strong_count(&kept.layout) > 1;
        let successors: Vec<_> =
            self.all.extract_if(.., |kept| !is_used(kept)).map(|unused| unused.successor).collect();
        // Of some the successor has gone as well, now or before.
        successors.iter().any(|successor| successor.strong_count() == 0)
    }
}

impl OwnFile {
    /// When the file was created, in nanoseconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.created
    }

    /// The PID of the process.
    pub(crate) fn process_name(&self) -> Arc<str> {
        Arc::clone(&self.process_name)
    }

    /// Which of its cells are described, if that is as known.
    pub(crate) fn reach(&self, reader: &Reader<'_>) -> Option<&Reach> {
        reader.is_as_known().then_some(&self.layout.reach)
    }

    /// How much of it is in use, in bytes.
    pub(crate) fn in_use(&self) -> u64 {
        self.outline.as_ref().map_or(0, Outline::end)
    }

    /// What its header and its table of extents said; to be [kept](Self::keep_outline) again.
    pub(crate) fn take_outline(&mut self) -> Option<Outline> {
        self.outline.take()
    }

    /// Keeps what the header and the table of extents say.
    pub(crate) fn keep_outline(&mut self, outline: Outline) {
        self.outline = Some(outline);
    }

    /// What an archive holds, if it was read.
    pub(crate) fn archived(&self) -> Option<&Arc<Archived>> {
        self.archived.as_ref()
    }

    /// Keeps what an archive with this number holds.
    pub(crate) fn keep_archived(&mut self, number: u64, content: Content) -> Arc<Archived> {
        let archived = Archived::new(number, content, Arc::clone(&self.layout));
        Arc::clone(self.archived.insert(Arc::new(archived)))
    }

    /// Forgets what it holds: it may be another file by now.
    pub(crate) fn forget_archived(&mut self) {
        self.archived = None;
    }

    /// Adds the file's cells to the totals, its gauges to the readings, and its exemplars.
    pub(crate) fn apply(
        &mut self,
        (cells, keys): (&Cells, TableKeys<'_>),
        process: u32,
        index: &mut Index,
        tally: &mut Tally,
    ) {
        self.layout.note_modes(index);
        tally.totals.grow(index.slots());
        self.layout.apply((cells, keys), (process, self.created), &mut self.places, index, tally);
        self.layout.exemplars(cells).for_each(|(owner, exemplar)| tally.exemplars.add(owner, &exemplar));
    }
}
