//! A table of children by their labels that is read without a lock.
//!
//! It only grows. Readers find their way by atomics; whoever adds holds the [`Registration`]. An index that
//! is full is followed by one twice as long: who still reads the old one may miss what was added since,
//! and comes again with the lock. What matters with many series is how much memory a lookup touches: a
//! word of the index, and one entry with all that is compared.
//!
//! A label is a *part* of two words. Of a text of up to 15 bytes they hold every byte, so that to compare
//! labels is to compare words; of a longer one they hold a hash, and the texts are compared, too. No hash
//! is ever trusted as a key.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::OnceLock as SetOnce;

use foldhash::fast::RandomState;
use headcount_store::write::Registration;

use crate::labels::Value;
use crate::sync::{AtomicU64, AtomicUsize, FIRST, OnceLock, Ordering};

/// A label's value, as it is compared. The default is that of a label without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    first: u64,
    /// The highest byte is the length of a text that is whole, or what else it is.
    last: u64,
}

/// Texts up to here are whole in a part.
const WHOLE: usize = 15;
const LONG: u64 = 16 << 56;
const LITERAL: u64 = 17 << 56;
const VARIANT: u64 = 18 << 56;
const NUMBER: u64 = 19 << 56;
const KIND: u64 = 0xff << 56;

impl Part {
    #[inline(always)]
    pub(crate) fn of(value: Value<'_>) -> Self {
        match value {
            Value::Text(text) => Self::text_called(text),
            Value::Literal(text) => Self::literal(text),
            Value::Variant(index, _) => Self { first: index as u64, last: VARIANT },
            Value::Unsigned(number) => Self { first: number, last: NUMBER },
            Value::Signed(number) => {
                Self { first: number.cast_unsigned(), last: NUMBER | u64::from(number < 0) }
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
        let kind = (len as u64) << 56;
        // Each read overlaps with the one before it where the text is shorter than both.
        match len {
            0 => Self::default(),
            1..=3 => {
                let at = |index: usize| u64::from(bytes[index]) << (index * 8);
                Self { first: at(0) | at(len / 2) | at(len - 1), last: kind }
            }
            4..=7 => Self { first: first_four(bytes) | last_four(bytes) << ((len - 4) * 8), last: kind },
            8 => Self { first: first_eight(bytes), last: kind },
            9..=WHOLE => {
                Self { first: first_eight(bytes), last: last_eight(bytes) >> ((16 - len) * 8) | kind }
            }
            _ => Self { first: hash_long(bytes), last: len as u64 | LONG },
        }
    }

    /// A text that stays where it is, known by its place.
    #[inline]
    pub(crate) fn literal(text: &'static str) -> Self {
        Self { first: text.as_ptr().addr() as u64, last: text.len() as u64 | LITERAL }
    }

    /// Whether the text itself has to be compared.
    fn is_long(self) -> bool {
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
static HASHER: SetOnce<RandomState> = SetOnce::new();

#[inline(never)]
fn hash_long(bytes: &[u8]) -> u64 {
    HASHER.get().map_or(0, |hasher| hasher.hash_one(bytes))
}

/// Parts that an entry holds in itself; more are a step away.
const NEAR: usize = 3;

/// A child and its labels.
#[derive(Debug)]
struct Entry<M> {
    near: [Part; NEAR],
    count: u32,
    rest: Option<Box<Rest>>,
    child: M,
}

#[derive(Debug)]
struct Rest {
    far: Box<[Part]>,
    /// The texts of all parts, if one of them is long.
    texts: Box<[Box<str>]>,
}

impl<M> Entry<M> {
    fn new(key: &impl Key, texts: &[&str], child: M) -> Self {
        let mut parts = Vec::new();
        key.parts(|part| parts.push(part));
        let (near_parts, far) = parts.split_at(parts.len().min(NEAR));
        let mut near = [Part::default(); NEAR];
        near[..near_parts.len()].copy_from_slice(near_parts);
        let long = parts.iter().any(|part| part.is_long());
        let rest = (long || !far.is_empty()).then(|| {
            let texts = if long { texts.iter().copied().map(Box::from).collect() } else { Box::default() };
            Box::new(Rest { far: far.into(), texts })
        });
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        Self { near, count, rest, child }
    }

    #[inline(always)]
    fn has(&self, key: &impl Key) -> bool {
        let far = self.rest.as_ref().map_or(&[][..], |rest| &rest.far);
        // Without branches: that it is another's entry is rare.
        let (mut at, mut differ) = (0, 0);
        key.parts(|part| {
            let known =
                if at < NEAR { self.near[at] } else { far.get(at - NEAR).copied().unwrap_or_default() };
            differ |= (part.first ^ known.first) | (part.last ^ known.last);
            at += 1;
        });
        differ == 0 && at == self.count as usize && self.rest.as_ref().is_none_or(|rest| rest.has_texts(key))
    }
}

impl Rest {
    fn has_texts(&self, key: &impl Key) -> bool {
        self.texts.is_empty() || key.has_texts(&self.texts)
    }
}

/// The first run of entries is [`FIRST`] long, the first index four times that, and each further one twice as long.
const LEVELS: usize = 32;

/// Entries side by side, each set once.
type Run<M> = Box<[OnceLock<Entry<M>>]>;

/// See the module.
pub(crate) struct Table<M> {
    keys: [u64; 2],
    /// The number of the index that has everything.
    newest: AtomicUsize,
    /// Of each slot the upper half is of the hash, the lower half says where the entry is.
    indexes: [OnceLock<Box<[AtomicU64]>>; LEVELS],
    entries: [OnceLock<Run<M>>; LEVELS],
    len: AtomicUsize,
}

const UPPER: u64 = 0xffff_ffff << 32;

impl<M: Copy> Table<M> {
    pub(crate) fn new() -> Self {
        let random = HASHER.get_or_init(RandomState::default);
        Self {
            // Odd, so that no bit of a small number is lost in the product.
            keys: [random.hash_one(0), random.hash_one(1) | 1],
            newest: AtomicUsize::new(0),
            indexes: std::array::from_fn(|_| OnceLock::new()),
            entries: std::array::from_fn(|_| OnceLock::new()),
            len: AtomicUsize::new(0),
        }
    }

    /// The child with these labels. Inlined, so that the parts of the key stay in registers.
    #[inline(always)]
    pub(crate) fn find(&self, key: &impl Key) -> Option<M> {
        let slots = self.indexes[self.newest.load(Ordering::Acquire) % LEVELS].get()?;
        let hash = self.hash(key);
        let mut at = hash;
        loop {
            let slot = slots.get(place(at, slots))?.load(Ordering::Acquire);
            if slot == 0 {
                // There always is such a slot.
                return None;
            }
            if (slot ^ hash) & UPPER == 0 {
                let entry = self.entry(slot)?;
                if entry.has(key) {
                    return Some(entry.child);
                }
            }
            at = at.wrapping_add(1);
        }
    }

    #[inline]
    fn entry(&self, slot: u64) -> Option<&Entry<M>> {
        let (run, at) = decode(slot);
        self.entries[run].get()?.get(at)?.get()
    }

    /// Adds a child that was not found since the registration began. `texts` are those of all labels.
    pub(crate) fn add(&self, _: &mut Registration, key: &impl Key, texts: &[&str], child: M) {
        let number = self.len.load(Ordering::Relaxed);
        let (run, at) = run_of(number);
        let Some(slots) = self.with_room_for(number + 1) else { return };
        let entries = self.entries[run].get_or_init(|| (0..FIRST << run).map(|_| OnceLock::new()).collect());
        if entries[at].set(Entry::new(key, texts, child)).is_ok() {
            self.len.store(number + 1, Ordering::Relaxed);
            let hash = self.hash(key);
            put(slots, hash, hash & UPPER | encode(run, at));
        }
    }

    /// The newest index, at most a quarter full, so that most lookups see one slot; `None` if numbers have no room in a slot.
    fn with_room_for(&self, len: usize) -> Option<&[AtomicU64]> {
        if len > MOST {
            return None;
        }
        let newest = self.newest.load(Ordering::Relaxed);
        let slots = self.indexes.get(newest)?.get_or_init(|| empty((4 * FIRST) << newest));
        if len * 4 <= slots.len() {
            return Some(slots);
        }
        let longer = self.indexes.get(newest + 1)?.get_or_init(|| {
            let longer = empty((4 * FIRST) << (newest + 1));
            for slot in slots.iter().map(|slot| slot.load(Ordering::Relaxed)) {
                if let Some(entry) = self.entry(slot).filter(|_| slot != 0) {
                    put(&longer, self.hash(entry), slot);
                }
            }
            longer
        });
        self.newest.store(newest + 1, Ordering::Release);
        Some(longer)
    }

    #[inline(always)]
    fn hash(&self, key: &impl Key) -> u64 {
        let mut hash: u64 = 0;
        // The parts' products do not wait for one another.
        key.parts(|part| {
            hash = hash.rotate_left(23) ^ fold(part.first ^ self.keys[0], part.last ^ self.keys[1])
        });
        // Once more: addresses and numbers that come one after the other are still near each other.
        fold(hash, self.keys[1])
    }
}

/// Both halves of a product, each bit of which depends on many of both factors.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

/// The labels of an entry: what it takes to put it into another index.
impl<M> Key for Entry<M> {
    fn parts(&self, visit: impl FnMut(Part)) {
        let far = self.rest.as_ref().map_or(&[][..], |rest| &rest.far);
        self.near.iter().chain(far).take(self.count as usize).copied().for_each(visit);
    }

    fn has_texts(&self, texts: &[Box<str>]) -> bool {
        self.rest.as_ref().is_some_and(|rest| *rest.texts == *texts)
    }
}

/// Which run the entry of that number is in, and where in it.
fn run_of(number: usize) -> (usize, usize) {
    let run = (number / FIRST + 1).ilog2();
    (run as usize, number + FIRST - (FIRST << run))
}

/// The lower half of a slot: five bits for the run, the others for the place in it and a 1 that tells it
/// from an empty slot.
const RUN: u32 = 27;
const USED: u32 = 1 << 26;
/// As many entries as there are places to be told.
const MOST: usize = USED as usize;

fn encode(run: usize, at: usize) -> u64 {
    (run << RUN | at) as u64 | u64::from(USED)
}

#[inline]
fn decode(slot: u64) -> (usize, usize) {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
    let lower = slot as u32;
    ((lower >> RUN) as usize, (lower & (USED - 1)) as usize)
}

fn empty(len: usize) -> Box<[AtomicU64]> {
    (0..len).map(|_| AtomicU64::new(0)).collect()
}

/// Puts an entry's slot into the first free place from its hash on.
fn put(slots: &[AtomicU64], mut at: u64, slot: u64) {
    while slots[place(at, slots)].load(Ordering::Relaxed) != 0 {
        at = at.wrapping_add(1);
    }
    slots[place(at, slots)].store(slot, Ordering::Release);
}

#[inline]
fn place(hash: u64, slots: &[AtomicU64]) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are wanted")]
    let place = hash as usize & (slots.len() - 1);
    place
}

impl<M> fmt::Debug for Table<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.len).finish_non_exhaustive()
    }
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

    /// Parts, and the text of the only one that is long.
    struct Labels<'a>(Vec<Part>, &'a str);

    impl Key for Labels<'_> {
        fn parts(&self, visit: impl FnMut(Part)) {
            self.0.iter().copied().for_each(visit);
        }

        fn has_texts(&self, texts: &[Box<str>]) -> bool {
            *texts[0] == *self.1
        }
    }

    #[test]
    fn labels_with_one_hash_are_told_apart() {
        let table = Table::new();
        // By force what a collision would be.
        let long = |text| Labels(vec![Part { first: 7, ..Part::text(text) }], text);
        let long = ["the same beginning, x, the same end", "the same beginning, y, the same end"].map(long);
        assert_eq!(long[0].0, long[1].0);
        let mut registration = Registration::begin();
        table.add(&mut registration, &long[0], &[long[0].1], 3);
        assert_eq!(table.find(&long[1]), None);
        table.add(&mut registration, &long[1], &[long[1].1], 4);
        assert_eq!(long.map(|key| table.find(&key)), [Some(3), Some(4)]);
        let [known, other] = ["a", "b"].map(|text| Labels(vec![Part::text(text)], text));
        table.add(&mut registration, &known, &["a"], 5);
        // A slot that says that it is the other's.
        let hash = table.hash(&other);
        put(table.with_room_for(3).unwrap(), hash, hash & UPPER | encode(0, 2));
        assert_eq!(table.find(&known), Some(5));
        assert_eq!(table.find(&other), None);
    }

    #[test]
    fn labels_are_told_from_those_that_begin_like_them() {
        let table = Table::new();
        let parts = |n: usize| Labels(vec![Part::default(); n], "");
        for n in 0..8 {
            assert_eq!(table.find(&parts(n)), None);
            table.add(&mut Registration::begin(), &parts(n), &[""; 8][..n], n);
        }
        assert!((0..8).all(|n| table.find(&parts(n)) == Some(n)));
    }

    #[test]
    fn a_table_that_grows_keeps_what_it_has() {
        let table = Table::new();
        let part = |number: u64| Part::of(Value::Unsigned(number));
        let labels = |n: u64| Labels([1, 2, 3, 4].map(|power| part(n.wrapping_pow(power))).to_vec(), "");
        for n in 0..5000 {
            assert_eq!(table.find(&labels(n)), None);
            table.add(&mut Registration::begin(), &labels(n), &[""; 4], n);
        }
        assert!((0..5000).all(|n| table.find(&labels(n)) == Some(n)));
    }

    #[test]
    fn runs_of_entries_are_twice_as_long_as_those_before() {
        assert_eq!([0, 15, 16, 47, 48].map(run_of), [(0, 0), (0, 15), (1, 0), (1, 31), (2, 0)]);
        let last = run_of(MOST - 1);
        assert_eq!(decode(UPPER | encode(last.0, last.1)), last);
    }
}
