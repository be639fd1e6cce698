//! Labels as they are looked up: parts of two words.
//!
//! Of a text of up to 15 bytes the words hold every byte, so that to compare labels is to compare words; of a
//! longer one they hold a hash, and the texts are compared, too. No hash is ever trusted as a key.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use crate::labels::Value;

/// A label's value, as it is compared. The default is that of a label without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    /// The lowest byte is the length of a text that is whole, or what else it is.
    pub(crate) last: u64,
}

/// Texts up to here are whole in a part.
const WHOLE: usize = 15;
const LONG: u64 = 16;
const LITERAL: u64 = 17;
const VARIANT: u64 = 18;
const NUMBER: u64 = 19;
const KIND: u64 = 0xff;
/// What is beside the kind begins here.
const BESIDE: u32 = 8;

impl Part {
    #[inline(always)]
    pub(crate) fn of(value: Value<'_>) -> Self {
        match value {
            Value::Text(text) => Self::text_called(text),
            Value::Literal(text) => Self::literal(text),
            Value::Variant(index, _) => Self { first: index as u64, last: VARIANT },
            Value::Unsigned(number) => Self { first: number, last: NUMBER },
            Value::Signed(number) => {
                Self { first: number.cast_unsigned(), last: NUMBER | u64::from(number < 0) << BESIDE }
            }
            Value::Absent => Self::default(),
        }
    }

    /// Not inlined, so that what calls it can be.
    #[inline(never)]
    fn text_called(text: &str) -> Self {
        Self::text(text)
    }

    #[inline]
    pub(crate) fn text(text: &str) -> Self {
        let bytes = text.as_bytes();
        let len = bytes.len();
        let kind = len as u64;
        // Each read overlaps with the one before it where the text is shorter than both: with the length known, that
        // is still every byte, and nothing has to be shifted into its place.
        if len > WHOLE {
            Self { first: hash_long(bytes), last: kind << BESIDE | LONG }
        } else if len >= 8 {
            // The first byte of the last eight is in the first eight, too.
            Self { first: first_eight(bytes), last: last_eight(bytes) & !KIND | kind }
        } else if len >= 4 {
            Self { first: first_four(bytes) | last_four(bytes) << 32, last: kind }
        } else if len > 0 {
            let at = |index: usize| u64::from(bytes[index]);
            Self { first: at(0) | at(len / 2) << 8 | at(len - 1) << 16, last: kind }
        } else {
            Self::default()
        }
    }

    /// A text that stays where it is, known by its place.
    #[inline]
    pub(crate) fn literal(text: &'static str) -> Self {
        Self { first: text.as_ptr().addr() as u64, last: (text.len() as u64) << BESIDE | LITERAL }
    }

    /// Whether the text itself has to be compared.
    pub(crate) fn is_long(self) -> bool {
        self.last & KIND == LONG
    }
}

/// The labels of a child, as they are looked up.
pub(crate) trait Key {
    /// Calls `visit` with each part. Inlined, so that the compiler knows which part is which.
    fn parts(&self, visit: impl FnMut(Part));

    /// Whether these are the texts of the labels. Only asked about labels with equal parts.
    fn has_texts(&self, texts: &[Box<str>]) -> bool;
}

#[inline]
fn first_eight(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn last_eight(bytes: &[u8]) -> u64 {
    bytes.last_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn first_four(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

#[inline]
fn last_four(bytes: &[u8]) -> u64 {
    bytes.last_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

/// Hashes texts that are long. Set with the first table, under its registration, and never waited for: a
/// child that was forked while another thread set it would wait for ever.
static HASHER: OnceLock<RandomState> = OnceLock::new();

#[inline(never)]
fn hash_long(bytes: &[u8]) -> u64 {
    HASHER.get().map_or(0, |hasher| hasher.hash_one(bytes))
}

/// Two random numbers, the same in the whole process.
pub(crate) fn random_keys() -> [u64; 2] {
    let random = HASHER.get_or_init(RandomState::default);
    // Odd, so that no bit of a small number is lost in the product.
    [random.hash_one(0), random.hash_one(1) | 1]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_of_texts_are_equal_only_if_the_texts_are(a in "[ab]{0,18}", b in "[ab]{0,18}") {
            let (part, other) = (Part::text(&a), Part::text(&b));
            prop_assert!(a != b || part == other);
            prop_assert!(a == b || part != other || part.is_long());
        }
    }

    #[test]
    fn values_of_different_kinds_are_different_parts() {
        let values = [
            Value::Text("1"),
            Value::Literal("1"),
            Value::Variant(1, "1"),
            Value::Unsigned(1),
            Value::Signed(-1),
            Value::Unsigned(u64::MAX),
            Value::Absent,
        ];
        let parts = values.map(Part::of);
        for (at, part) in parts.iter().enumerate() {
            assert!(!parts[at + 1..].contains(part), "{part:?}");
        }
        assert_eq!(Part::of(Value::Signed(1)), Part::of(Value::Unsigned(1)));
    }
}
