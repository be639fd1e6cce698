//! Bodies as gzip, page by page.
//!
//! Each page is compressed by itself and ends with a flush, at a whole byte. So the pages of a body, one after the
//! other, are one deflate stream in one member of gzip, which every client reads; and a page that was there before
//! need not be compressed again.

use std::io;
use std::sync::Arc;

use flate2::{Compress, Crc, FlushCompress, Status};
use headcount_merge::{Compressed, Compression, Page, Pages};
use hyper::body::Bytes;
use zlib_rs::crc32::crc32_combine;

use super::body::Body;

/// Magic, deflate, no flags, no time, fast, and from nobody knows what system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];
/// The last block of a stream, with nothing in it.
const END: [u8; 2] = [3, 0];

/// What compresses pages. It is kept for the next body: a third of a megabyte that came and went with each one would lie
/// between what stays.
#[derive(Debug, Default)]
pub(super) struct Deflater(Option<Compress>);

/// A body compressed.
///
/// # Errors
///
/// When there is not enough memory.
pub(super) fn gzip(pages: &Pages, compressor: &mut Deflater) -> io::Result<Body> {
    let mut pieces = vec![Bytes::from_static(&HEADER)];
    let mut checksum = 0;
    for page in pages.iter() {
        let compressed = match page.compressed(Compression::Deflate) {
            Some(known) => known,
            None => page.keep_compressed(Compression::Deflate, compress(page, compressor)?),
        };
        checksum = crc32_combine(checksum, compressed.checksum, page.bytes().len() as u64);
        pieces.push(Bytes::from_owner(Arc::clone(&compressed.bytes)));
    }
    let mut end = END.to_vec();
    end.extend(checksum.to_le_bytes());
    // The length as far as it fits: so the format has it.
    let [len @ .., _, _, _, _] = (pages.len() as u64).to_le_bytes();
    end.extend(len);
    pieces.push(end.into());
    Ok(pieces.into_iter().collect())
}

/// A page as blocks of a deflate stream, none of them the last.
fn compress(page: &Page, Deflater(compressor): &mut Deflater) -> io::Result<Compressed> {
    // Twice as fast as any other, and of such texts a tenth stays; the next level takes half as long again.
    let compressor = compressor.get_or_insert_with(|| Compress::new(flate2::Compression::fast(), false));
    compressor.reset();
    let mut bytes = Vec::with_capacity(page.bytes().len() / 8 + 64);
    loop {
        let taken = usize::try_from(compressor.total_in()).unwrap_or(usize::MAX);
        let rest = page.bytes().get(taken..).unwrap_or_default();
        let status =
            compressor.compress_vec(rest, &mut bytes, FlushCompress::Sync).map_err(io::Error::other)?;
        // All is written once there is room left.
        if status == Status::BufError || bytes.len() < bytes.capacity() {
            break;
        }
        bytes.reserve(bytes.len() + 64);
    }
    let mut crc = Crc::new();
    crc.update(page.bytes());
    Ok(Compressed { bytes: bytes.into(), checksum: crc.sum() })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use headcount::Registry;
    use headcount_merge::{Exposition, Format, Merger};
    use headcount_store::directory::Directory;
    use proptest::prelude::*;

    use super::*;

    /// Reads one member, and finds nothing behind it.
    fn gunzip(mut body: Body) -> Vec<u8> {
        let bytes = std::iter::from_fn(|| body.take(usize::MAX)).collect::<Vec<_>>().concat();
        let mut decoder = GzDecoder::new(&*bytes);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        assert_eq!(decoder.into_inner().len(), 0);
        text
    }

    #[test]
    fn a_body_of_many_pages_is_one_member_and_what_stays_is_not_compressed_again() {
        let temporary = tempfile::tempdir().unwrap();
        let registry = Registry::in_directory(temporary.path()).unwrap();
        let family = registry.counter_family("c", "", ["l"]).unwrap();
        let counters: Vec<_> = (0..4000).map(|n| family.with([&format!("label {n}")])).collect();
        let (directory, mut merger) = (Directory::open(temporary.path()).unwrap(), Merger::default());
        let mut compressor = Deflater::default();
        for n in [0, 17, 3000] {
            counters[n].add(1 << n.min(60));
            let mut pages = || merger.merge(&directory).unwrap().pages(&Exposition::new(Format::Text));
            let pages = pages();
            assert!(pages.iter().count() > 3);
            let new = pages.iter().filter(|page| page.compressed(Compression::Deflate).is_none()).count();
            assert_eq!(new, if n == 0 { pages.iter().count() } else { 1 });
            assert_eq!(gunzip(gzip(&pages, &mut compressor).unwrap()), pages.into_vec());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_compressed_is_read_back(
            bytes in prop::collection::vec(any::<u8>(), 0..5000), times in 1..40_usize,
        ) {
            // What cannot be compressed becomes longer.
            let bytes = bytes.repeat(times);
            prop_assert_eq!(gunzip(gzip(&Pages::from(bytes.clone()), &mut Deflater::default()).unwrap()), bytes);
        }
    }
}
