//! Exemplars: single observations, with labels such as a trace's, that stand for those they were counted with.
//!
//! An exemplar has a slot of [`SLOT_LEN`] bytes, which belongs to one summed cell for the life of the file and is
//! written over and over while others read it. Readers copy, and no order is promised of what they copy. So a slot
//! has a sum of its words in it: what was torn is told from what is whole by looking at the copy alone.

use std::fmt;

use super::{array_at, u32_at, u64_at};
use crate::metric::{NameError, check_label_name};
use crate::text::{OWN_NAME, is_legal_label_name};

/// Words in a slot.
pub const SLOT_WORDS: u32 = 32;
/// Bytes in a slot.
pub const SLOT_LEN: usize = 8 * SLOT_WORDS as usize;
/// Bytes of labels that a slot has room for: each name and value after a byte that holds its length.
pub const LABELS_LEN: usize = SLOT_LEN - LABELS;
/// Characters that the names and values of an exemplar's labels may have together: a rule of OpenMetrics.
pub const MAX_CHARACTERS: usize = 128;

/// How many exemplars a series of a native histogram has at most.
pub const NATIVE_EXEMPLARS: u32 = 8;

/// Which exemplar of a native histogram one with this value takes the place of. Values of which one is up to four times
/// the other have the same, so that a fast one does not take that of a slow one; those that are 65,536 times as much
/// have it again.
#[must_use]
pub fn native_exemplar(value: f64) -> u32 {
    let [exponent, sign] = [value.to_bits() >> 53 & 0x3ff, value.to_bits() >> 63];
    #[expect(clippy::cast_possible_truncation, reason = "a few bits are wanted")]
    let both = (exponent ^ sign << 2) as u32;
    both % NATIVE_EXEMPLARS
}

/// The number of the writing: odd while it goes on, 0 before the first.
const SEQUENCE: usize = 0;
const CELL: usize = 8;
const LEN: usize = 12;
const VALUE: usize = 16;
const TIME: usize = 24;
/// Which word the time is.
pub(crate) const TIME_WORD: usize = TIME / 8;
const SUM: usize = 32;
const LABELS: usize = 40;

/// An exemplar, as it stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The summed cell that it was counted in.
    pub cell: u32,
    /// What was observed, or added.
    pub value: f64,
    /// When, in seconds since 1970.
    pub time: f64,
    /// Its labels.
    pub labels: ExemplarLabels,
}

/// The labels of an exemplar, which keep to the rules.
#[derive(Clone, Copy)]
pub struct ExemplarLabels {
    bytes: [u8; LABELS_LEN],
    len: u8,
}

/// Labels that no exemplar can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExemplarError {
    /// A label's name breaks a rule of Prometheus.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The same label twice.
    #[error("an exemplar has the label `{0}` twice")]
    Twice(String),
    /// More than OpenMetrics allows.
    #[error("the labels of an exemplar have {found} characters: OpenMetrics allows {MAX_CHARACTERS}")]
    Characters {
        /// How many names and values have together.
        found: usize,
    },
    /// More than a slot has room for: only with many labels, or characters beyond ASCII.
    #[error("the labels of an exemplar take {found} bytes: there is room for {LABELS_LEN}")]
    Bytes {
        /// How many they take, with one more for each name and value.
        found: usize,
    },
}

impl ExemplarLabels {
    /// No labels.
    pub const NONE: Self = Self { bytes: [0; LABELS_LEN], len: 0 };

    /// Checks names and lengths.
    ///
    /// # Errors
    ///
    /// Says which rule is broken.
    pub fn new(labels: &[(&str, &str)]) -> Result<Self, ExemplarError> {
        let texts = || labels.iter().flat_map(|&(name, value)| [name, value]);
        for (at, (name, _)) in labels.iter().enumerate() {
            check_label_name(name)?;
            if labels[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(ExemplarError::Twice((*name).to_owned()));
            }
        }
        let found = texts().map(|text| text.chars().count()).sum();
        if found > MAX_CHARACTERS {
            return Err(ExemplarError::Characters { found });
        }
        let found = texts().map(|text| text.len() + 1).sum();
        if found > LABELS_LEN {
            return Err(ExemplarError::Bytes { found });
        }
        let mut encoded = Self::NONE;
        let mut rest = &mut encoded.bytes[..];
        for text in texts() {
            let (place, behind) = rest.split_at_mut(text.len() + 1);
            place[0] = low_byte(text.len());
            place[1..].copy_from_slice(text.as_bytes());
            rest = behind;
        }
        encoded.len = low_byte(found);
        Ok(encoded)
    }

    /// Reads labels that anybody may have written; `None` if they break a rule.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut labels = Self::NONE;
        labels.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        labels.len = low_byte(bytes.len());
        let mut rest = bytes;
        let (mut characters, mut at) = (0, 0);
        while !rest.is_empty() {
            let (name, value) = (take(&mut rest)?, take(&mut rest)?);
            characters += name.chars().count() + value.chars().count();
            let is_new = labels.iter().take(at).all(|(earlier, _)| earlier != name);
            if !is_legal_label_name(name) || name == OWN_NAME || !is_new {
                return None;
            }
            at += 1;
        }
        (characters <= MAX_CHARACTERS).then_some(labels)
    }

    /// The bytes in which they are kept.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Names and values, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = self.bytes();
        // What is here was checked before.
        std::iter::from_fn(move || Some((take(&mut rest)?, take(&mut rest)?)))
    }
}

/// What is kept in a byte is at most [`LABELS_LEN`].
fn low_byte(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (&len, behind) = rest.split_first()?;
    let (text, behind) = behind.split_at_checked(usize::from(len))?;
    *rest = behind;
    std::str::from_utf8(text).ok()
}

impl PartialEq for ExemplarLabels {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl fmt::Debug for ExemplarLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What a copy of a slot turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nothing was written to it yet.
    Blank,
    /// It is being written: another look may find it whole.
    Torn,
    /// As it was written.
    Whole,
}

impl Slot {
    /// Looks at a copy of a slot, [`SLOT_LEN`] bytes.
    #[must_use]
    pub fn of(slot: &[u8]) -> Self {
        let sequence = u64_at(slot, SEQUENCE);
        if sequence == 0 {
            return Self::Blank;
        }
        let len = u32_at(slot, LEN) as usize;
        let Some(labels) = slot[LABELS..].get(..len.next_multiple_of(8)) else { return Self::Torn };
        let words = labels.chunks_exact(8).map(|word| u64_at(word, 0));
        let fixed = [CELL, VALUE, TIME].map(|at| u64_at(slot, at));
        let is_whole =
            sequence.is_multiple_of(2) && sum(sequence, fixed.into_iter().chain(words)) == u64_at(slot, SUM);
        if is_whole { Self::Whole } else { Self::Torn }
    }
}

impl Exemplar {
    /// Reads a copy of a slot that is whole; `None` if it is blank, or not what a slot should be.
    #[must_use]
    pub fn decode(slot: &[u8]) -> Option<Self> {
        let float = |at| f64::from_le_bytes(array_at(slot, at));
        let (cell, value, time) = (u32_at(slot, CELL), float(VALUE), float(TIME));
        let is_blank = u64_at(slot, SEQUENCE) == 0;
        if is_blank || value.is_nan() || !time.is_finite() {
            return None;
        }
        let labels = slot[LABELS..].get(..u32_at(slot, LEN) as usize)?;
        Some(Self { cell, value, time, labels: ExemplarLabels::decode(labels)? })
    }

    /// The words of its slot from the second on, as far as they are in use: what stands behind a sequence number.
    pub fn words(&self, sequence: u64) -> impl Iterator<Item = u64> {
        let len = u64::from(self.labels.len);
        let fixed = [u64::from(self.cell) | len << 32, self.value.to_bits(), self.time.to_bits()];
        let chunks = self.labels.bytes[..usize::from(self.labels.len).next_multiple_of(8)].chunks_exact(8);
        let labels = chunks.map(|word| u64_at(word, 0));
        let sum = sum(sequence, fixed.into_iter().chain(labels.clone()));
        fixed.into_iter().chain([sum]).chain(labels)
    }

    /// The bytes of its slot, for a file that is written once.
    #[must_use]
    pub fn encode(&self) -> [u8; SLOT_LEN] {
        /// Once written.
        const SEQUENCE: u64 = 2;
        let mut slot = [0; SLOT_LEN];
        let words = std::iter::once(SEQUENCE).chain(self.words(SEQUENCE));
        for (place, word) in slot.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        slot
    }
}

/// Of all words in use, in order, but that of the sum itself.
fn sum(sequence: u64, words: impl Iterator<Item = u64>) -> u64 {
    /// Odd, so that no step loses anything; from the digits of pi.
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    words.fold(sequence, |sum, word| (sum.rotate_left(5) ^ word).wrapping_mul(FACTOR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABELS_OF_A_TRACE: [(&str, &str); 2] = [("trace_id", "0af7"), ("span_id", "b7é")];

    fn exemplar() -> Exemplar {
        let labels = ExemplarLabels::new(&LABELS_OF_A_TRACE).unwrap();
        Exemplar { cell: 7, value: 0.25, time: 1.5e9, labels }
    }

    /// The offsets are those of `docs/file-format.md`, written out once more.
    #[test]
    fn a_slot_has_the_bytes_that_the_byte_map_says() {
        let slot = exemplar().encode();
        assert_eq!(slot[..16], *b"\x02\0\0\0\0\0\0\0\x07\0\0\0\x1b\0\0\0");
        assert_eq!(slot[16..32], [0.25_f64.to_le_bytes(), 1.5e9_f64.to_le_bytes()].concat());
        assert_eq!(slot[40..67], *b"\x08trace_id\x040af7\x07span_id\x04b7\xc3\xa9");
        assert!(slot[67..].iter().all(|&byte| byte == 0));
        let mut sum: u64 = 2;
        for at in [8, 16, 24, 40, 48, 56, 64] {
            let word = u64::from_le_bytes(slot[at..at + 8].try_into().unwrap());
            sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        assert_eq!(slot[32..40], sum.to_le_bytes());
    }

    #[test]
    fn what_is_no_exemplar_is_told_from_one() {
        let slot = exemplar().encode();
        assert_eq!((Slot::of(&slot), Exemplar::decode(&slot)), (Slot::Whole, Some(exemplar())));
        let blank = [0; SLOT_LEN];
        assert_eq!((Slot::of(&blank), Exemplar::decode(&blank)), (Slot::Blank, None));
        for at in [0, 8, 12, 20, 31, 33, 41, 66] {
            let mut torn = slot;
            torn[at] ^= 1;
            assert_eq!(Slot::of(&torn), Slot::Torn, "{at}");
        }
        let refused = |change: fn(&mut Exemplar)| {
            let mut changed = exemplar();
            change(&mut changed);
            let slot = changed.encode();
            assert_eq!((Slot::of(&slot), Exemplar::decode(&slot)), (Slot::Whole, None), "{changed:?}");
        };
        refused(|exemplar| exemplar.value = f64::NAN);
        refused(|exemplar| exemplar.time = f64::INFINITY);
        refused(|exemplar| exemplar.labels.bytes[0] = 200);
        refused(|exemplar| exemplar.labels.bytes[1] = b'-');
        refused(|exemplar| exemplar.labels.bytes[1] = 0xff);
        refused(|exemplar| exemplar.labels.len -= 1);
        refused(|exemplar| {
            exemplar.labels.bytes[..8].copy_from_slice(b"\x01a\x01b\x01a\x01c");
            exemplar.labels.len = 8;
        });
    }

    #[test]
    fn values_that_are_far_apart_have_exemplars_of_their_own() {
        let places: Vec<_> = (0..16).map(|power| native_exemplar(0.001 * 4.0_f64.powi(power))).collect();
        assert!((0..8).all(|first| (1..8).all(|next| places[first] != places[first + next])), "{places:?}");
        assert_eq!(places[..8], places[8..]);
        assert_eq!(native_exemplar(0.5), native_exemplar(1.9));
        assert_ne!(native_exemplar(1.0), native_exemplar(-1.0));
        let odd = [0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::from_bits(1)];
        assert!(odd.into_iter().all(|value| native_exemplar(value) < NATIVE_EXEMPLARS));
    }

    #[test]
    fn labels_that_break_a_rule_are_refused_with_the_rule() {
        let refused = |labels: &[(&str, &str)]| ExemplarLabels::new(labels).unwrap_err().to_string();
        assert!(refused(&[("a-b", "")]).contains("contains `-`"));
        assert!(refused(&[("__a", "")]).contains("two underscores"));
        assert!(refused(&[("a", "x"), ("a", "y")]).contains("`a` twice"));
        assert!(refused(&[("a", &"x".repeat(128))]).contains("129 characters"));
        assert!(refused(&[("a", &"é".repeat(127))]).contains("257 bytes"));
        assert!(ExemplarLabels::new(&[("a", &"x".repeat(127))]).is_ok());
        assert_eq!(ExemplarLabels::new(&[]).unwrap(), ExemplarLabels::NONE);
    }

    proptest! {
        #[test]
        fn whatever_bytes_say_is_found_to_keep_to_the_rules_or_is_no_exemplar(
            damage in prop::collection::vec((0..SLOT_LEN, any::<u8>()), 0..6),
        ) {
            let mut slot = exemplar().encode();
            damage.into_iter().for_each(|(at, byte)| slot[at] = byte);
            let _ = Slot::of(&slot);
            if let Some(exemplar) = Exemplar::decode(&slot) {
                let labels: Vec<_> = exemplar.labels.iter().collect();
                prop_assert!(labels.iter().all(|(name, _)| is_legal_label_name(name)));
                prop_assert_eq!(Exemplar::decode(&exemplar.encode()), Some(exemplar));
            }
        }
    }
}
