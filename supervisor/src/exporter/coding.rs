//! How bodies are compressed.

use std::io;
use std::sync::Arc;

use headcount_merge::{Page, Pages};
use hyper::body::Bytes;

use super::body::Body;
use super::gzip::{Deflater, gzip};
use super::zstd::{Framer, zstd};

/// A content coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    /// None.
    #[default]
    Identity,
    /// What every scraper understands.
    Gzip,
    /// Smaller, for those who know it.
    Zstd,
}

/// What compresses, kept for the next body.
#[derive(Debug, Default)]
pub(super) struct Compressors {
    gzip: Deflater,
    zstd: Framer,
}

impl Coding {
    /// What it is called.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// A body in this coding.
    pub(super) fn encode(self, text: &Pages, compressors: &mut Compressors) -> io::Result<Body> {
        match self {
            Self::Identity => {
                Ok(text.iter().map(|page| Bytes::from_owner(Whole(Arc::clone(page)))).collect())
            }
            Self::Gzip => gzip(text, &mut compressors.gzip),
            Self::Zstd => zstd(text, &mut compressors.zstd),
        }
    }
}

/// A page as it is.
struct Whole(Arc<Page>);

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}
