//! Bodies in zstd, page by page.
//!
//! Each page is a frame of its own. Frames one after the other are what one frame of all would be (RFC 8878, 3), and
//! that of a page that was there before need not be made again.

use std::fmt;
use std::io;
use std::sync::Arc;

use headcount_merge::{Compressed, Compression, Page, Pages};
use hyper::body::Bytes;
use zstd_safe::CCtx;

use super::body::Body;

/// The next ones take longer, and save nothing of such a text.
const LEVEL: i32 = 1;

/// What makes frames. It is kept for the next body.
#[derive(Default)]
pub(super) struct Framer(Option<CCtx<'static>>);

impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framer").finish_non_exhaustive()
    }
}

/// A body compressed.
///
/// # Errors
///
/// When there is not enough memory.
pub(super) fn zstd(pages: &Pages, framer: &mut Framer) -> io::Result<Body> {
    let frame = |page: &Arc<Page>| -> io::Result<Bytes> {
        let compressed = match page.compressed(Compression::Zstd) {
            Some(known) => known,
            None => page.keep_compressed(Compression::Zstd, framer.frame(page)?),
        };
        Ok(Bytes::from_owner(Arc::clone(&compressed.bytes)))
    };
    pages.iter().map(frame).collect()
}

impl Framer {
    fn frame(&mut self, page: &Page) -> io::Result<Compressed> {
        let none = || io::Error::from(io::ErrorKind::OutOfMemory);
        let context = match &mut self.0 {
            Some(context) => context,
            context => context.insert(CCtx::try_create().ok_or_else(none)?),
        };
        let mut bytes = Vec::with_capacity(zstd_safe::compress_bound(page.bytes().len()));
        context
            .compress(&mut bytes, page.bytes(), LEVEL)
            .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
        Ok(Compressed { bytes: bytes.into(), checksum: 0, places: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use headcount_merge::Format;

    use super::super::counted::Counted;
    use super::*;

    #[test]
    fn a_body_of_many_pages_is_read_as_one_and_what_stays_is_not_compressed_again() {
        let mut counted = Counted::new(4000);
        let mut framer = Framer::default();
        for n in [0, 17, 3000] {
            counted.counters[n].add(1 << n.min(60));
            let pages = counted.pages(Format::Text);
            let new = pages.iter().filter(|page| page.compressed(Compression::Zstd).is_none()).count();
            assert_eq!(new, if n == 0 { pages.iter().count() } else { 1 });
            let mut body = zstd(&pages, &mut framer).unwrap();
            let frames: Vec<_> = std::iter::from_fn(|| body.next_piece(usize::MAX)).collect();
            assert!(frames.len() > 3);
            let mut text = Vec::with_capacity(pages.len());
            zstd_safe::decompress(&mut text, &frames.concat()).unwrap();
            assert!(text == pages.into_vec());
        }
    }
}
