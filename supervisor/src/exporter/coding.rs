//! How bodies are compressed.

use std::io;

use headcount_merge::Pages;

use super::gzip::gzip;

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
    pub(super) fn encode(self, text: Pages) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(text.into_vec()),
            Self::Gzip => gzip(&text),
            Self::Zstd => {
                let text = text.into_vec();
                let mut body = Vec::with_capacity(zstd_safe::compress_bound(text.len()));
                zstd_safe::compress(&mut body, &text, ZSTD_LEVEL)
                    .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
                // It was made for a text that cannot be compressed, and may wait for a slow client.
                body.shrink_to_fit();
                Ok(body)
            }
        }
    }
}
