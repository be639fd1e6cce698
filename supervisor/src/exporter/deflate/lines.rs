//! Where values stand in lines, and what one line has of another.

use std::ops::Range;

use super::codes::is_number;

/// So many bytes are looked for elsewhere in a line …
const SOUGHT: usize = 4;
/// … and so near to where they would stand if both lines were alike.
const NEAR: usize = 128;

/// Where what `rest` begins with stands in a line before, near so many bytes from its beginning, and how much of it.
#[inline]
pub(super) fn find_near(lines: &[u8], line: Range<usize>, at: usize, rest: &[u8]) -> Option<(usize, usize)> {
    let sought: &[u8; SOUGHT] = rest.first_chunk()?;
    let from = line.start + at.saturating_sub(NEAR);
    let near = lines.get(from..line.end.min(line.start + at + NEAR))?;
    let found = from + near.windows(SOUGHT).position(|there| there == sought)?;
    Some((found, common(&lines[found..line.end], rest)))
}

/// The value of a line, up to where that ends. What begins here is what ended the line before: it is copied together with
/// what follows it.
pub(super) fn next_value(lines: &[u8], start: usize) -> Range<usize> {
    let from = start + 1;
    let end = from + find_end(&lines[from..]);
    let line = &lines[from..end];
    let len = line.iter().rev().take_while(|byte| **byte != b' ').count();
    let is_value = len < line.len() && line[line.len() - len..].iter().all(|byte| is_number(*byte));
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
pub(super) fn common(one: &[u8], other: &[u8]) -> usize {
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
