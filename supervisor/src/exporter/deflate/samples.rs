//! Lines of samples as a block of a deflate stream: made fast, and so that a value can be exchanged where it stands.
//!
//! All characters of numbers have codes of the same length, values are never copied from elsewhere, and nothing is
//! copied from them. So a value that is as long as the one before has its place in the stream. What stands before a
//! value most often begins and ends as it does in the line before.

use std::ops::Range;

use headcount_merge::Place;

use super::codes::{Codes, LEAST, NUMBER_BITS, WINDOW, is_number};
use super::stream::{Stream, overwrite};

/// See the module. It is kept for the next lines.
#[derive(Debug)]
pub(in super::super) struct SampleDeflater {
    codes: Codes,
    /// Where such bytes were the last time before a value, and where that value begins.
    known: Box<[(u32, u32); 1 << HASH_BITS]>,
}

const HASH_BITS: u32 = 11;
/// So many bytes that were there before are looked for.
const KNOWN: usize = 4;
/// So many bytes at most: all places are to be told in 32 bits.
const LONGEST: usize = 16 * 1024 * 1024;
/// So many characters of a number are exchanged at once.
const AT_ONCE: usize = (56 / NUMBER_BITS) as usize;

impl Default for SampleDeflater {
    fn default() -> Self {
        Self { codes: Codes::default(), known: Box::new([(0, 0); 1 << HASH_BITS]) }
    }
}

impl SampleDeflater {
    /// Lines as a block that is not the last and ends at a whole byte, and where their values are; `None` if there are
    /// too many.
    #[expect(clippy::cast_possible_truncation, reason = "there are not more")]
    pub(in super::super) fn deflate(&mut self, lines: &[u8]) -> Option<(Vec<u8>, Vec<Place>)> {
        if lines.len() > LONGEST {
            return None;
        }
        let mut stream = Stream::with_capacity(lines.len() / 8 + 256);
        let mut places = Vec::with_capacity(lines.len() / 64);
        self.known.fill((0, 0));
        self.codes.begin_block(&mut stream);
        let (mut last, mut start) = (0..0, 0);
        while start < lines.len() {
            let value = next_value(lines, start);
            self.push_key(&mut stream, lines, start..value.start, last);
            if !value.is_empty() {
                let [at, len, bit] = [value.start, value.len(), stream.len()].map(|place| place as u32);
                places.push(Place { at, len, bit });
                lines[value.clone()].iter().for_each(|byte| stream.push(self.codes.literal(*byte)));
            }
            (last, start) = (start..value.start, value.end);
        }
        self.codes.end_block(&mut stream);
        places.shrink_to_fit();
        Some((stream.flush(), places))
    }

    /// Appends what stands before a value.
    #[inline]
    fn push_key(&mut self, stream: &mut Stream, lines: &[u8], key: Range<usize>, last: Range<usize>) {
        let mut at = key.start;
        let begun = common(&lines[last.clone()], &lines[key.clone()]);
        if begun >= LEAST && at - last.start <= WINDOW {
            self.codes.copy(stream, begun, at - last.start);
            at += begun;
        }
        // What ends as in the line before is so far from there, but for what is longer.
        let distance = key.end - last.end;
        let earliest = last.start + distance;
        while at < key.end {
            let rest = &lines[at..key.end];
            let copied = self.find(lines, at, rest).or_else(|| {
                let is_there = at >= earliest && distance <= WINDOW;
                let len = if is_there { common(&lines[at - distance..last.end], rest) } else { 0 };
                (len >= LEAST).then_some((len, distance))
            });
            if let Some((len, distance)) = copied {
                self.codes.copy(stream, len, distance);
                at += len;
            } else {
                stream.push(self.codes.literal(rest[0]));
                at += 1;
            }
        }
    }

    /// How much of the rest of a key was there before, and how far back; remembers that it is here.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "there are not more lines")]
    fn find(&mut self, lines: &[u8], at: usize, rest: &[u8]) -> Option<(usize, usize)> {
        let first = u32::from_le_bytes(*rest.first_chunk::<KNOWN>()?);
        // Fibonacci hashing.
        let known = &mut self.known[(first.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASH_BITS)) as usize];
        let here = (at as u32, (at + rest.len()) as u32);
        let (start, end) = std::mem::replace(known, here);
        let len = common(&lines[start as usize..end as usize], rest);
        let distance = at - start as usize;
        (len >= KNOWN && distance <= WINDOW).then_some((len, distance))
    }

    /// Exchanges all values of lines that are otherwise the same. `false` if that cannot be done; the stream is to be made
    /// anew then.
    pub(in super::super) fn exchange(&self, stream: &mut [u8], places: &[Place], lines: &[u8]) -> bool {
        places.iter().all(|place| {
            let value = lines.get(place.at as usize..).and_then(|from| from.get(..place.len as usize));
            let Some(value) = value.filter(|value| is_number(value)) else { return false };
            let mut bit = place.bit as usize;
            for part in value.chunks(AT_ONCE) {
                let (mut bits, mut len) = (0, 0);
                for byte in part {
                    bits |= u64::from(self.codes.literal(*byte).0) << len;
                    len += NUMBER_BITS;
                }
                overwrite(stream, bit, (bits, len));
                bit += len as usize;
            }
            true
        })
    }
}

/// The value of a line, up to where that ends. What begins here is what ended the line before: it is copied together with
/// what follows it.
fn next_value(lines: &[u8], start: usize) -> Range<usize> {
    let from = start + 1;
    let end = from + find_end(&lines[from..]);
    let line = &lines[from..end];
    let len = line.iter().rev().take_while(|byte| **byte != b' ').count();
    let is_value = len < line.len() && is_number(&line[line.len() - len..]);
    if is_value { end - len..end } else { end..end }
}

/// Where a line ends.
#[inline]
fn find_end(lines: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (words, rest) = lines.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // The lowest byte that is none now is marked.
        let word = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\n'));
        let ends = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if ends != 0 {
            return at * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    lines.len() - rest.len() + rest.iter().take_while(|byte| **byte != b'\n').count()
}

/// How many bytes both begin with.
#[inline]
fn common(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let mut at = 0;
    for (one, other) in words {
        let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differ != 0 {
            return at + differ.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + one[at..].iter().zip(&other[at..]).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};
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

    /// Another value that is as long, made of what values are made of.
    fn another(value: &str, by: usize) -> String {
        let all = "0123456789.e+-NaInf";
        let shifted = |c| (all.find(c).unwrap() + by) % all.len();
        value.chars().map(|c| all.as_bytes()[shifted(c)] as char).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn values_are_exchanged_as_often_as_they_change(
            keys in prop::collection::vec((any::<u8>(), "[a-z0-9 é\"]{0,12}|x{250,300}"), 1..80),
            values in prop::collection::vec("[0-9.e+NaInf-]{1,24}", 80),
            changes in prop::collection::vec((0..80_usize, 1..19_usize), 1..20),
        ) {
            let mut values = values;
            let mut deflater = SampleDeflater::default();
            let text = lines(&keys, &values);
            let (mut stream, places) = deflater.deflate(&text).unwrap();
            prop_assert_eq!(places.len(), keys.len());
            prop_assert_eq!(inflate(&stream, text.len()), text);
            for (at, by) in changes {
                values[at] = another(&values[at], by);
                let text = lines(&keys, &values);
                prop_assert!(deflater.exchange(&mut stream, &places, &text));
                prop_assert_eq!(inflate(&stream, text.len()), text);
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
    fn what_is_no_number_is_not_written_over_one() {
        let mut deflater = SampleDeflater::default();
        let (mut stream, places) = deflater.deflate(b"f 1\n").unwrap();
        assert!(!deflater.exchange(&mut stream, &places, b"f x\n"));
        assert!(!deflater.exchange(&mut stream, &places, b"f"));
        assert!(deflater.exchange(&mut stream, &places, b"f 7\n"));
        assert_eq!(inflate(&stream, 4), b"f 7\n");
    }
}
