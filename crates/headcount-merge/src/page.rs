//! Bodies of expositions, page by page: what has not changed since the last one is the same page.
//!
//! A page that is shared is never written to. So a body can be sent while the next one is made, the same body to many, and
//! what is made of a page, such as its compressed form, is made once for as long as the page stays.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A page, some tens of kilobytes long most of the time.
#[derive(Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    content: Content,
    compressed: [OnceLock<Compressed>; 2],
    outdated: Mutex<Option<Outdated>>,
}

/// What a page consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Lines, such as those of samples, that end with a value after a space. From one body to the next, only values
    /// become others.
    Samples,
    /// Anything.
    #[default]
    Any,
}

/// A way to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Blocks of a deflate stream.
    Deflate,
    /// A frame of zstd.
    Zstd,
}

/// What a page has been compressed to.
#[derive(Clone, Debug)]
pub struct Compressed {
    /// The compressed bytes, to be understood without those of the pages before. Whoever sends them need not keep the
    /// page.
    pub bytes: Arc<[u8]>,
    /// A checksum of the page, if what is made of it needs one.
    pub checksum: u32,
    /// Where values can be exchanged, if they can.
    pub places: Vec<Place>,
}

/// What a page was compressed to as deflate, before values changed.
#[derive(Clone, Debug)]
pub struct Outdated {
    /// See [`Compressed`].
    pub compressed: Compressed,
    /// Where each value that has changed since began on the page that was compressed, in order; `None` if that is not known.
    pub changes: Option<Vec<u32>>,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first byte on the page.
    pub at: u32,
    /// Its length, in bytes.
    pub len: u32,
    /// Its first bit in what the page was compressed to.
    pub bit: u32,
}

/// There is room for so many changes from the beginning: as many as a page has of which a tenth changes.
const CHANGES: usize = 64;

impl Outdated {
    /// Of a page that is to be changed, what it was compressed to, or else what it was before it changed the last time.
    fn of(compressed: Option<Compressed>, before: impl FnOnce() -> Option<Self>) -> Option<Self> {
        let outdated = match compressed {
            Some(compressed) => Some(Self { compressed, changes: Some(Vec::with_capacity(CHANGES)) }),
            // What has changed was noted by where it was then.
            None => before().map(|before| Self { changes: None, ..before }),
        };
        outdated.filter(|outdated| !outdated.compressed.places.is_empty())
    }

    /// Notes that the value has changed that began here.
    #[inline]
    pub(crate) fn note(&mut self, at: usize) {
        let place = u32::try_from(at).ok();
        match (&mut self.changes, place) {
            (Some(changes), Some(place)) => changes.push(place),
            (changes, _) => *changes = None,
        }
    }
}

impl Page {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self::with(Content::Any, bytes)
    }

    pub(crate) fn with(content: Content, bytes: Vec<u8>) -> Self {
        Self { bytes, content, ..Self::default() }
    }

    /// Its bytes, to be changed. What it was compressed to is forgotten.
    pub(crate) fn change(&mut self) -> &mut [u8] {
        self.compressed = <[OnceLock<Compressed>; 2]>::default();
        self.keep_outdated(None);
        &mut self.bytes
    }

    /// What it was compressed to, for what comes of it when values change: that is to be noted.
    pub(crate) fn outdated(&self) -> Option<Outdated> {
        let compressed = self.compressed(Compression::Deflate).cloned();
        Outdated::of(compressed, || self.lock_outdated().clone())
    }

    /// The same, where nobody needs it any longer on this page.
    pub(crate) fn take_for_change(&mut self) -> Option<Outdated> {
        let [deflated, _] = std::mem::take(&mut self.compressed).map(OnceLock::into_inner);
        Outdated::of(deflated, || self.take_outdated())
    }

    fn lock_outdated(&self) -> MutexGuard<'_, Option<Outdated>> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what it was compressed to before.
    pub(crate) fn keep_outdated(&mut self, outdated: Option<Outdated>) {
        *self.outdated.get_mut().unwrap_or_else(PoisonError::into_inner) = outdated;
    }

    /// Its space, for another page.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The page.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it consists of.
    #[must_use]
    pub fn content(&self) -> Content {
        self.content
    }

    /// What it was compressed to as deflate before values changed, for whoever brings that up to date; `None` if that is
    /// not known, or somebody else has it.
    #[must_use]
    pub fn take_outdated(&self) -> Option<Outdated> {
        self.lock_outdated().take()
    }

    /// What it has been compressed to; `None` if nobody has done that yet.
    #[must_use]
    pub fn compressed(&self, by: Compression) -> Option<&Compressed> {
        self.compressed[by as usize].get()
    }

    /// Keeps what it has been compressed to, unless somebody else was faster; returns what is kept.
    pub fn keep_compressed(&self, by: Compression, compressed: Compressed) -> &Compressed {
        self.compressed[by as usize].get_or_init(|| compressed)
    }
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body: its pages, in order.
#[derive(Clone, Debug, Default)]
pub struct Pages(Vec<Arc<Page>>);

impl Pages {
    pub(crate) fn push(&mut self, page: Arc<Page>) {
        if !page.bytes.is_empty() {
            self.0.push(page);
        }
    }

    /// The pages, none of which is empty.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Page>> {
        self.0.iter()
    }

    /// How long the body is, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|page| page.bytes.len()).sum()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body in one piece.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        let mut pages = self.0;
        // One that nobody else has is not copied.
        if let [page] = &mut *pages
            && let Some(page) = Arc::get_mut(page)
        {
            return std::mem::take(&mut page.bytes);
        }
        let mut whole = Vec::with_capacity(pages.iter().map(|page| page.bytes.len()).sum());
        pages.iter().for_each(|page| whole.extend_from_slice(&page.bytes));
        whole
    }
}

impl From<Vec<u8>> for Pages {
    fn from(bytes: Vec<u8>) -> Self {
        let mut pages = Self::default();
        pages.push(Arc::new(Page::new(bytes)));
        pages
    }
}
