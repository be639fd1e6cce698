//! Lines of samples as a block of a deflate stream: made fast, and so that a value can be exchanged where it stands.
//!
//! All characters of numbers have codes of the same length, values are never copied from elsewhere, and nothing is
//! copied from them. So a value that is as long as the one before has its place in the stream. What stands before a
//! value, its *key*, is copied from the line before and from nowhere else: most often it begins and ends as that does.
//! So where a value has become longer or shorter, only it and the key behind it are other bits.

use std::ops::Range;

use headcount_merge::Place;

use super::codes::{Codes, LEAST, WINDOW};
use super::lines::{common, find_near, next_value};
use super::stream::Stream;

/// See the module.
#[derive(Debug, Default)]
pub(in super::super) struct SampleDeflater {
    pub(super) codes: Codes,
}

/// So many bytes at most: all places are to be told in 32 bits.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;
/// So often is something looked for in vain in a line: it may have been written to waste time.
const SEARCHES: u32 = 8;

impl SampleDeflater {
    /// Lines as a block that is not the last and ends at a whole byte, and where their values are; `None` if there are
    /// too many.
    #[expect(clippy::cast_possible_truncation, reason = "there are not more")]
    pub(in super::super) fn deflate(&self, lines: &[u8]) -> Option<(Vec<u8>, Vec<Place>)> {
        if lines.len() > LONGEST {
            return None;
        }
        let mut stream = Stream::with_capacity(lines.len() / 8 + 256);
        let mut places = Vec::with_capacity(lines.len() / 64);
        self.codes.begin_block(&mut stream);
        let (mut last, mut start) = (0..0, 0);
        loop {
            let value;
            (value, last) = self.push_keys(&mut stream, lines, start, last);
            if value.is_empty() {
                break;
            }
            let [at, len, bit] = [value.start, value.len(), stream.len()].map(|place| place as u32);
            places.push(Place { at, len, bit });
            self.push_value(&mut stream, &lines[value.clone()]);
            start = value.end;
        }
        places.shrink_to_fit();
        Some((self.end(stream), places))
    }

    pub(super) fn push_value(&self, stream: &mut Stream, value: &[u8]) {
        value.iter().for_each(|byte| stream.push(self.codes.literal(*byte)));
    }

    pub(super) fn end(&self, mut stream: Stream) -> Vec<u8> {
        self.codes.end_block(&mut stream);
        stream.flush()
    }

    /// Appends what stands before the next value: its key, and that of each line before it that has none. Tells where
    /// the value is, which is nowhere at the end of all lines, and where its key.
    pub(super) fn push_keys(
        &self,
        stream: &mut Stream,
        lines: &[u8],
        mut start: usize,
        mut last: Range<usize>,
    ) -> (Range<usize>, Range<usize>) {
        while start < lines.len() {
            let value = next_value(lines, start);
            let key = start..value.start;
            self.push_key(stream, lines, key.clone(), last);
            if !value.is_empty() {
                return (value, key);
            }
            (last, start) = (key, value.end);
        }
        (start..start, last)
    }

    /// Appends what stands before a value.
    #[inline]
    fn push_key(&self, stream: &mut Stream, lines: &[u8], key: Range<usize>, last: Range<usize>) {
        let mut at = key.start;
        let begun = common(&lines[last.clone()], &lines[key.clone()]);
        if begun >= LEAST && at - last.start <= WINDOW {
            self.codes.copy(stream, begun, at - last.start);
            at += begun;
        }
        // What ends as in the line before is so far from there, but for what is longer.
        let distance = key.end - last.end;
        let earliest = last.start + distance;
        let mut searches = SEARCHES;
        while at < key.end {
            let rest = &lines[at..key.end];
            let is_there = at >= earliest && distance <= WINDOW;
            let ended = if is_there { common(&lines[at - distance..last.end], rest) } else { 0 };
            let mut copied = (ended >= LEAST).then_some((ended, distance));
            // Labels and names begin with such.
            if copied.is_none() && searches > 0 && !rest[0].is_ascii_alphanumeric() {
                let found = find_near(lines, last.clone(), at - key.start, rest);
                copied = found.map(|(from, len)| (len, at - from)).filter(|(_, far)| *far <= WINDOW);
                searches -= u32::from(copied.is_none());
            }
            if let Some((len, distance)) = copied {
                self.codes.copy(stream, len, distance);
                at += len;
            } else {
                stream.push(self.codes.literal(rest[0]));
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};
    use headcount_merge::{Compressed, Outdated};
    use proptest::prelude::*;

    use super::*;

    fn inflate(stream: &[u8], len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 1);
        let stream = [stream, &[3, 0]].concat();
        let mut decompress = Decompress::new(false);
        decompress.decompress_vec(&stream, &mut bytes, FlushDecompress::Finish).unwrap();
        assert_eq!(decompress.total_in(), stream.len() as u64);
        bytes
    }

    fn lines(keys: &[(u8, String)], values: &[String]) -> Vec<u8> {
        let line = |((n, label), value): (&(u8, String), &String)| match n % 4 {
            0 => format!("# HELP f {label} {value}\n"),
            1 => format!("f_bucket{{a=\"{label}\",le=\"{n}\"}} {value}\n"),
            _ => format!("f{{a=\"{n}\",b=\"{label}\",c=\"some label\"}} {value}\n"),
        };
        keys.iter().zip(values).map(line).collect::<String>().into_bytes()
    }

    const NUMBER: &str = "[0-9.e+NaInf-]{1,6}|[0-9.e+NaInf-]{1,24}";

    fn deflated(deflater: &SampleDeflater, text: &[u8]) -> Compressed {
        let (bytes, places) = deflater.deflate(text).unwrap();
        Compressed { bytes: bytes.into(), checksum: 0, places }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn values_are_exchanged_as_often_as_they_change(
            keys in prop::collection::vec((any::<u8>(), "[a-z0-9 é\"]{0,12}|x{250,300}"), 1..80),
            values in prop::collection::vec(NUMBER, 80),
            scrapes in prop::collection::vec(
                (prop::collection::vec((0..80_usize, NUMBER), 0..40), any::<bool>()), 1..8,
            ),
        ) {
            let mut values = values;
            let deflater = SampleDeflater::default();
            let text = lines(&keys, &values);
            let mut now = deflated(&deflater, &text);
            prop_assert_eq!(now.places.len(), keys.len());
            prop_assert_eq!(inflate(&now.bytes, text.len()), text);
            for (mut changes, are_noted) in scrapes {
                changes.retain(|(at, _)| *at < keys.len());
                changes.sort_by_key(|(at, _)| *at);
                changes.dedup_by_key(|(at, _)| *at);
                let noted = changes.iter().map(|(at, _)| now.places[*at].at).collect();
                changes.into_iter().for_each(|(at, value)| values[at] = value);
                let text = lines(&keys, &values);
                let outdated = Outdated { compressed: now, changes: are_noted.then_some(noted) };
                now = deflater.exchange(outdated, &text).unwrap();
                prop_assert_eq!(inflate(&now.bytes, text.len()), text.clone());
                let anew = deflated(&deflater, &text);
                prop_assert!(now.bytes == anew.bytes, "it is as if compressed again");
                prop_assert!(now.places == anew.places);
            }
        }

        #[test]
        fn whatever_is_no_lines_is_read_back(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b' '), Just(b'7')], 0..3000),
            between in 0..40_000_usize,
        ) {
            let text = [&*bytes, &vec![b'x'; between], &bytes, b"\n", &bytes].concat();
            let (stream, _) = SampleDeflater::default().deflate(&text).unwrap();
            prop_assert!(inflate(&stream, text.len()) == text);
        }
    }

    #[test]
    fn where_more_than_a_value_has_changed_nothing_is_exchanged() {
        let deflater = SampleDeflater::default();
        let exchange = |text: &[u8], changes: Option<&[u32]>| {
            let (compressed, changes) = (deflated(&deflater, b"f 1\ng 2\n"), changes.map(<[_]>::to_vec));
            deflater
                .exchange(Outdated { compressed, changes }, text)
                .map(|now| inflate(&now.bytes, text.len()))
        };
        for text in [&b"f x\ng 2\n"[..], b"f", b"f 10", b"f 10\ng 2 3\n", b"f 10\ng h 2\n"] {
            assert!(exchange(text, None).is_none());
        }
        assert!(exchange(b"f 1\ng 2\n", Some(&[1])).is_none());
        assert_eq!(exchange(b"f 7\ng 20\n", Some(&[2, 6])).unwrap(), b"f 7\ng 20\n");
        assert_eq!(exchange(b"f 7000\ng 2\n", Some(&[2])).unwrap(), b"f 7000\ng 2\n");
    }
}
