//! Bodies as gzip, page by page.
//!
//! Each page is compressed by itself and ends with a flush, at a whole byte. So the pages of a body, one after the
//! other, are one deflate stream in one member of gzip, which every client reads; and a page that was there before
//! need not be compressed again. On a page of samples, only the values are exchanged that have changed.

use std::io;
use std::sync::Arc;

use flate2::{Compress, Crc, FlushCompress, Status};
use headcount_merge::{Compressed, Compression, Content, Page, Pages};
use hyper::body::Bytes;
use zlib_rs::crc32::{crc32_combine, crc32_combine_gen, crc32_combine_op};

use super::body::Body;
use super::deflate::SampleDeflater;

/// Magic, deflate, no flags, no time, fast, and from nobody knows what system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];
/// The last block of a stream, with nothing in it.
const END: [u8; 2] = [3, 0];

/// What compresses pages. It is kept for the next body: a third of a megabyte that came and went with each one would lie
/// between what stays.
#[derive(Debug, Default)]
pub(super) struct Deflater {
    samples: SampleDeflater,
    any: Option<Compress>,
}

/// A body compressed.
///
/// # Errors
///
/// When there is not enough memory.
pub(super) fn gzip(pages: &Pages, deflater: &mut Deflater) -> io::Result<Body> {
    let mut pieces = vec![Bytes::from_static(&HEADER)];
    let mut checksum = 0;
    for page in pages.iter() {
        let compressed = match page.compressed(Compression::Deflate) {
            Some(known) => known,
            None => page.keep_compressed(Compression::Deflate, deflater.compress(page)?),
        };
        checksum = join(checksum, compressed.checksum, page.bytes().len());
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

/// The checksum of two texts, of which the second is so long, from those of both. What it is multiplied by for a length is
/// not worked out for each page again: it is what it is for whole blocks, times what it is for the rest.
fn join(first: u32, second: u32, len: usize) -> u32 {
    const BLOCK: usize = 256;
    static BYTES: [u32; BLOCK] = factors(1);
    static BLOCKS: [u32; BLOCK] = factors(BLOCK as u64);
    match BLOCKS.get(len / BLOCK) {
        Some(blocks) => crc32_combine_op(crc32_combine_op(first, 0, BYTES[len % BLOCK]), second, *blocks),
        None => crc32_combine(first, second, len as u64),
    }
}

/// What checksums are multiplied by for none, one, two and more parts of so many bytes.
const fn factors(len: u64) -> [u32; 256] {
    let mut factors = [0; 256];
    let mut parts = 0;
    while parts < factors.len() {
        factors[parts] = crc32_combine_gen(parts as u64 * len);
        parts += 1;
    }
    factors
}

impl Deflater {
    /// A page as blocks of a deflate stream, none of them the last.
    fn compress(&mut self, page: &Page) -> io::Result<Compressed> {
        let mut crc = Crc::new();
        crc.update(page.bytes());
        let checksum = crc.sum();
        let exchanged = page.take_outdated().and_then(|old| self.samples.exchange(old, page.bytes()));
        if let Some(exchanged) = exchanged {
            return Ok(Compressed { checksum, ..exchanged });
        }
        let is_lines = page.content() == Content::Samples;
        let deflated = is_lines.then(|| self.samples.deflate(page.bytes())).flatten();
        let (bytes, places) = match deflated {
            Some(deflated) => deflated,
            None => (self.compress_any(page.bytes())?, Vec::new()),
        };
        Ok(Compressed { bytes: bytes.into(), checksum, places })
    }

    fn compress_any(&mut self, page: &[u8]) -> io::Result<Vec<u8>> {
        // Twice as fast as any other, and of such texts a tenth stays; the next level takes half as long again.
        let compressor = self.any.get_or_insert_with(|| Compress::new(flate2::Compression::fast(), false));
        compressor.reset();
        let mut bytes = Vec::with_capacity(page.len() / 8 + 64);
        loop {
            let taken = usize::try_from(compressor.total_in()).unwrap_or(usize::MAX);
            let rest = page.get(taken..).unwrap_or_default();
            let status =
                compressor.compress_vec(rest, &mut bytes, FlushCompress::Sync).map_err(io::Error::other)?;
            // All is written once there is room left.
            if status == Status::BufError || bytes.len() < bytes.capacity() {
                return Ok(bytes);
            }
            bytes.reserve(bytes.len() + 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use headcount::{GaugeMode, Registry};
    use headcount_merge::{Exposition, Format, Merger};
    use headcount_store::directory::Directory;
    use proptest::prelude::*;

    use super::super::counted::Counted;
    use super::*;

    /// Reads one member, and finds nothing behind it.
    fn gunzip(mut body: Body) -> Vec<u8> {
        let bytes = std::iter::from_fn(|| body.next_piece(usize::MAX)).collect::<Vec<_>>().concat();
        let mut decoder = GzDecoder::new(&*bytes);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        assert_eq!(decoder.into_inner().len(), 0);
        text
    }

    /// A gauge's value: most often it is as long as the others.
    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (10..100_u8).prop_map(f64::from),
            any::<f64>(),
            (0..1000_u16).prop_map(|n| f64::from(n) / 8.0)
        ]
    }

    #[test]
    fn checksums_of_parts_are_joined_to_that_of_the_whole() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let checksum = |bytes: &[u8]| {
            let mut crc = Crc::new();
            crc.update(bytes);
            crc.sum()
        };
        for len in [0, 1, 255, 256, 257, 32_768, 34_567, 65_535, 65_536, 69_999] {
            let (first, second) = bytes.split_at(bytes.len() - len);
            assert_eq!(join(checksum(first), checksum(second), len), checksum(&bytes), "{len}");
        }
        assert_eq!(join(0, checksum(&bytes), bytes.len()), checksum(&bytes));
    }

    #[test]
    fn a_body_of_many_pages_is_one_member_and_what_stays_is_not_compressed_again() {
        let mut counted = Counted::new(4000);
        let mut compressor = Deflater::default();
        for n in [0, 17, 3000] {
            counted.counters[n].add(1 << n.min(60));
            let pages = counted.pages(Format::Text);
            assert!(pages.iter().count() > 3);
            let new = pages.iter().filter(|page| page.compressed(Compression::Deflate).is_none()).count();
            assert_eq!(new, if n == 0 { pages.iter().count() } else { 1 });
            assert_eq!(gunzip(gzip(&pages, &mut compressor).unwrap()), pages.into_vec());
        }
    }

    /// Whether a page is brought up to date by exchanging values.
    fn is_exchanged(page: &Page) -> bool {
        let exchange = |outdated| SampleDeflater::default().exchange(outdated, page.bytes());
        page.take_outdated().is_some_and(|outdated| exchange(outdated).is_some())
    }

    #[test]
    fn where_only_values_have_changed_only_they_are_exchanged() {
        let mut counted = Counted::new(2000);
        for format in [Format::Text, Format::OpenMetrics, Format::Json, Format::Protobuf] {
            gzip(&counted.pages(format), &mut Deflater::default()).unwrap();
            // Another value as long as before, and then some that are longer.
            for n in [1, 10, 100_000] {
                counted.counters.iter().step_by(10).for_each(|counter| counter.add(n));
                let pages = counted.pages(format);
                let (exchanged, all) =
                    (pages.iter().filter(|page| is_exchanged(page)).count(), pages.iter().count());
                gzip(&pages, &mut Deflater::default()).unwrap();
                match format {
                    Format::Text => assert_eq!(exchanged, all),
                    // Its end is a page by itself.
                    Format::OpenMetrics => assert_eq!(exchanged, all - 1),
                    _ => assert_eq!(exchanged, 0),
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn however_values_change_the_body_is_that_of_the_merge(
            scrapes in prop::collection::vec(
                (prop::collection::vec((0..600_usize, value()), 0..40), 0..5_usize, any::<bool>()), 1..12,
            ),
        ) {
            let temporary = tempfile::tempdir().unwrap();
            let registry = Registry::in_directory(temporary.path()).unwrap();
            let family = registry.gauge_family("g", "Is 1", GaugeMode::Sum, ["l"]).unwrap();
            let gauges: Vec<_> = (0..600).map(|n| family.with([&format!("a label so long, and number {n}")])).collect();
            let (directory, mut merger) = (Directory::open(temporary.path()).unwrap(), Merger::default());
            let mut deflater = Deflater::default();
            let mut kept = None;
            for (changes, format, keeps) in scrapes {
                changes.into_iter().for_each(|(at, value)| gauges[at].set(value));
                let format = [Format::Text, Format::Text, Format::OpenMetrics, Format::Json, Format::Protobuf][format];
                let pages = merger.merge(&directory).unwrap().pages(&Exposition::new(format));
                let body = gzip(&pages, &mut deflater).unwrap();
                let text = pages.clone().into_vec();
                prop_assert!(gunzip(body.clone()) == text);
                // Somebody is still being sent what was made before.
                if let Some((body, text)) = kept.take_if(|_| !keeps) {
                    prop_assert!(gunzip(body) == text);
                }
                kept.get_or_insert((body, text));
            }
        }

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
