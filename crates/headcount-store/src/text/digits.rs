//! Whole numbers, in the place of others that are as long.
//!
//! Between two expositions most numbers change, and few become longer. Who knows where the old one stands need only
//! exchange its digits.

/// Two digits, by their number.
const PAIRS: [[u8; 2]; 100] = pairs();

#[expect(clippy::cast_possible_truncation, reason = "a digit")]
const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
}

/// The least number with so many digits, and how many more there are with as many: of none, there is none.
const LENGTHS: [(u64, u64); 21] = lengths();

const fn lengths() -> [(u64, u64); 21] {
    let mut lengths = [(0, 9); 21];
    let mut digits = 2;
    let mut least = 10;
    while digits < lengths.len() {
        let is_last = digits + 1 == lengths.len();
        lengths[digits] = (least, if is_last { u64::MAX - least } else { least * 9 - 1 });
        least = if is_last { least } else { least * 10 };
        digits += 1;
    }
    lengths
}

/// Writes a number, if it is as long as the place; otherwise the place stays as it is. Tells which.
#[inline]
pub(crate) fn overwrite(place: &mut [u8], number: u64) -> bool {
    let Some(&(least, more)) = LENGTHS.get(place.len()) else { return false };
    if number.wrapping_sub(least) > more || place.is_empty() {
        return false;
    }
    let mut rest = number;
    let mut place = place;
    while let [before @ .., tens, ones] = place {
        [*tens, *ones] = PAIRS[(rest % 100) as usize];
        rest /= 100;
        place = before;
    }
    if let [first] = place {
        *first = PAIRS[(rest % 10) as usize][1];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(number: u64, len: usize) {
        let (mut place, spelled) = (vec![b'x'; len], number.to_string());
        if overwrite(&mut place, number) {
            assert_eq!(place, spelled.as_bytes());
        } else {
            assert_ne!(len, spelled.len(), "{number}");
            assert!(place.iter().all(|&byte| byte == b'x'), "{number} in {len}");
        }
    }

    #[test]
    fn a_number_is_written_where_it_is_as_long_as_its_place() {
        let edges = LENGTHS.iter().flat_map(|&(least, more)| [least, least + more, least.saturating_sub(1)]);
        edges.for_each(|number| (0..25).for_each(|len| check(number, len)));
    }

    proptest! {
        #[test]
        fn every_number_is_written_as_it_is_spelled(number in any::<u64>(), shift in 0..64, len in 0..22_usize) {
            let number = number >> shift;
            check(number, len);
            check(number, number.to_string().len());
        }
    }
}
