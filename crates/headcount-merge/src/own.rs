//! What one of our own files contributes: a process's, or an archive.
//!
//! Its descriptions are decoded once for all files that have the same: workers of one program register
//! the same metrics in the same order, so most often the bytes are equal. And they never change: of a
//! file that was read before and describes nothing new, only the cells are read.

use std::sync::Arc;

use headcount_store::FileError;
use headcount_store::format::header::Header;
use headcount_store::read::{Cells, Reader};

use crate::gather::Tally;
use crate::index::Index;
use crate::layout::Layout;
use crate::marks::Marks;

/// What is known of one of our files.
#[derive(Debug)]
pub(crate) struct OwnFile {
    layout: Arc<Layout>,
    /// A later file with the same inode was created at another time.
    created: u64,
    is_archive: bool,
    /// What an archive holds, once it was read: it never changes.
    content: Option<Box<Content>>,
}

/// All there is in an archive beside its descriptions and sources.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) header: Header,
    pub(crate) cells: Cells,
}

/// Every set of descriptions that some file has.
#[derive(Debug, Default)]
pub(crate) struct Layouts {
    all: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    layout: Arc<Layout>,
    /// Whether there is another with all that this one has, and more.
    is_superseded: bool,
}

impl Layouts {
    /// Finds or decodes the layout of a file, of which this much may be known. `scratch` is used again.
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
        scratch: &mut Vec<u8>,
    ) -> Result<OwnFile, FileError> {
        let header = reader.header();
        let known = known.filter(|known| known.created == header.created);
        if let Some(known) = known {
            if known.layout.records().len() as u64 == header.records_used {
                return Ok(known);
            }
            let file = self.find_or_decode(reader, index, scratch)?;
            if file.layout.records().starts_with(known.layout.records()) {
                let old = self.all.iter_mut().find(|kept| Arc::ptr_eq(&kept.layout, &known.layout));
                old.into_iter().for_each(|old| old.is_superseded = true);
            }
            return Ok(file);
        }
        self.find_or_decode(reader, index, scratch)
    }

    fn find_or_decode(
        &mut self,
        reader: &Reader<'_>,
        index: &mut Index,
        scratch: &mut Vec<u8>,
    ) -> Result<OwnFile, FileError> {
        let Header { created, folded, .. } = *reader.header();
        let is_archive = folded > 0;
        // The newest first: most often the next file has the descriptions of the last.
        for Kept { layout, .. } in self.all.iter().rev() {
            if reader.has_records(layout.records(), scratch)? {
                let layout = Arc::clone(layout);
                return Ok(OwnFile { layout, created, is_archive, content: None });
            }
        }
        let layout = Arc::new(Layout::decode(reader, index)?);
        self.all.push(Kept { layout: Arc::clone(&layout), is_superseded: false });
        Ok(OwnFile { layout, created, is_archive, content: None })
    }

    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        self.all.iter().for_each(|kept| kept.layout.mark(marks));
    }

    /// Forgets the layouts that no file has any more, and tells whether the index may now hold what no file
    /// describes.
    pub(crate) fn forget_unused(&mut self) -> bool {
        let mut is_lost = false;
        self.all.retain(|kept| {
            let is_used = Arc::strong_count(&kept.layout) > 1;
            is_lost |= !is_used && !kept.is_superseded;
            is_used
        });
        is_lost
    }
}

impl OwnFile {
    /// When the file was created, in nanoseconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.created
    }

    /// What an archive holds, if it was read.
    pub(crate) fn content(&self) -> Option<&Content> {
        self.content.as_deref()
    }

    /// Keeps what an archive holds.
    pub(crate) fn keep(&mut self, content: Content) {
        self.content = self.is_archive.then(|| Box::new(content));
    }

    /// Forgets what it holds: it may be another file by now.
    pub(crate) fn forget_content(&mut self) {
        self.content = None;
    }

    /// Adds the file's cells to the totals, and its gauges to the readings.
    pub(crate) fn apply(&self, cells: &Cells, process: u32, index: &mut Index, tally: &mut Tally) {
        self.layout.note_modes(index);
        tally.totals.grow(index.slots());
        // An archive is younger than what it holds.
        let since = if self.is_archive { 0 } else { self.created / 1_000_000 };
        self.layout.apply(cells, process, since, tally);
    }
}
