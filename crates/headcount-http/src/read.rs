//! How much of a request's body was read, where it did not say how long it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of a request's body while they are read: by the handler, while the request's life waits for its
/// answer elsewhere.
#[derive(Clone, Debug, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// So many more were read.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The bytes of a request's body.
pub(crate) enum RequestBytes {
    /// It declared so many.
    Declared(u64),
    /// It did not; these were read.
    Read(BytesRead),
    /// It did not, and nobody wants to know.
    Unknown,
}

impl RequestBytes {
    #[inline]
    pub(crate) fn get(&self) -> Option<u64> {
        match self {
            Self::Declared(bytes) => Some(*bytes),
            Self::Read(read) => Some(read.get()),
            Self::Unknown => None,
        }
    }
}
