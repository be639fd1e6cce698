//! How bodies are compressed.

use std::io;
use std::sync::Arc;

use headcount_merge::{Page, Pages};
use hyper::body::Bytes;

use super::body::Body;
use super::gzip::{Compressor, gzip};

/// A content coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    /// None.
    #[default]
    Identity,
    /// What every scraper understands.
    Gzip,
    /// A third smaller, for those who know it; compressed as a whole each time.
    Zstd,
}

/// The next ones take longer, and save nothing of such a text.
const ZSTD_LEVEL: i32 = 1;

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
    pub(super) fn encode(self, text: &Pages, compressor: &mut Compressor) -> io::Result<Body> {
        match self {
            Self::Identity => {
                Ok(text.iter().map(|page| Bytes::from_owner(Whole(Arc::clone(page)))).collect())
            }
            Self::Gzip => gzip(text, compressor),
            Self::Zstd => {
                let text = text.clone().into_vec();
                let mut body = Vec::with_capacity(zstd_safe::compress_bound(text.len()));
                zstd_safe::compress(&mut body, &text, ZSTD_LEVEL)
                    .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
                // It was made for a text that cannot be compressed, and may wait for a slow client.
                body.shrink_to_fit();
                Ok(Bytes::from(body).into())
            }
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
