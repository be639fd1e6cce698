//! Where a byte stands first in a text: names and values are short, so that eight bytes at a time is all that is worth it.

/// One in each byte, and the highest bit of each.
const ONES: u64 = u64::MAX / 0xff;
const HIGHEST: u64 = ONES << 7;

/// Where a byte stands first.
#[inline]
pub(crate) fn seek(byte: u8, text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks();
    for (place, word) in (0..).step_by(8).zip(words) {
        // Zero where the byte stands. The lowest zero sets its highest bit here, and nothing below it does.
        let other = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        let found = other.wrapping_sub(ONES) & !other & HIGHEST;
        if found != 0 {
            return Some(place + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&other| other == byte)?;
    Some(text.len() - rest.len() + at)
}

/// Takes what stands before a byte off the beginning, and that byte; all, if it is not there.
#[inline]
pub(crate) fn take_until<'a>(byte: u8, text: &mut &'a [u8]) -> &'a [u8] {
    let (taken, rest) = match seek(byte, text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (*text, &[][..]),
    };
    *text = rest;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_byte_is_found_where_it_stands_first(
            text in prop::collection::vec(prop::sample::select(vec![0, 1, 0x7f, 0x80, 0x81, 0xff]), 0..40),
            byte in prop::sample::select(vec![0, 1, 0x7f, 0x80, 0x81, 0xff]),
        ) {
            let place = text.iter().position(|&other| other == byte);
            prop_assert_eq!(seek(byte, &text), place);
            let mut rest = &*text;
            prop_assert_eq!(take_until(byte, &mut rest), &text[..place.unwrap_or(text.len())]);
            prop_assert_eq!(rest, place.map_or(&[][..], |at| &text[at + 1..]));
        }
    }
}
