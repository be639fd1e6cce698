//! A table of children by their labels that is read without a lock.
//!
//! It only grows. Readers find their way by atomics; whoever adds holds the [`Registration`]. An index that
//! is full is followed by one twice as long: who still reads the old one may miss what was added since,
//! and comes again with the lock. What matters with many series is how much memory a lookup touches: a
//! word of the index, and one entry with all that is compared.
//!
//! A child can be forgotten, and found again. Its entry stays where it is; in its slot, the part of the hash is
//! inverted, so that who looks for it passes over that slot as over another's. Whoever looks up something else
//! and finds that part to be its own compares the labels, as always.

use std::fmt;

use headcount_store::write::Registration;

use crate::entry::Entry;
use crate::part::{Key, random_keys};
use crate::sync::{AtomicU64, AtomicUsize, FIRST, OnceLock, Ordering};

/// The first run of entries is [`FIRST`] long, the first index eight times that, and each further one twice as long.
const LEVELS: usize = 32;

/// An index of so many slots is an eighth full at most, so that hardly any look-up sees two; longer ones are a quarter
/// full.
const SPARSE: usize = 1024;

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
        Self {
            keys: random_keys(),
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

    /// Adds a child that was never there. `texts` are those of all labels.
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

    /// Adds a child, unless it is there, perhaps forgotten.
    pub(crate) fn remember(&self, registration: &mut Registration, key: &impl Key, texts: &[&str], child: M) {
        if self.find(key).is_none() && self.recall(registration, key).is_none() {
            self.add(registration, key, texts, child);
        }
    }

    /// Forgets a child: who looks it up from now on does not find it.
    pub(crate) fn forget(&self, _: &mut Registration, key: &impl Key) -> Option<M> {
        self.turn(self.hash(key), key)
    }

    /// Finds a child again that was forgotten, for all who look it up from now on.
    pub(crate) fn recall(&self, _: &mut Registration, key: &impl Key) -> Option<M> {
        // Only the part that stands in the slot is inverted, not where its search begins.
        self.turn(self.hash(key) ^ UPPER, key)
    }

    /// Inverts the slot with this part of a hash and these labels.
    fn turn(&self, hash: u64, key: &impl Key) -> Option<M> {
        let slots = self.indexes.get(self.newest.load(Ordering::Relaxed))?.get()?;
        let mut at = hash;
        loop {
            let slot = slots.get(place(at, slots))?;
            let found = slot.load(Ordering::Relaxed);
            if found == 0 {
                return None;
            }
            if let Some(entry) = self.entry(found).filter(|_| (found ^ hash) & UPPER == 0)
                && entry.has(key)
            {
                slot.store(found ^ UPPER, Ordering::Release);
                return Some(entry.child);
            }
            at = at.wrapping_add(1);
        }
    }

    /// Forgets the child that was added as the `number`th, from 0, or finds it again if it was forgotten.
    pub(crate) fn turn_at(&self, _: &mut Registration, number: u32) {
        let (run, at) = run_of(number as usize);
        let Some(entry) = self.entries[run].get().and_then(|run| run.get(at)?.get()) else { return };
        let hash = self.hash(entry);
        let _ = self.turn(hash, entry).or_else(|| self.turn(hash ^ UPPER, entry));
    }

    /// Forgets all children that are `gone`.
    pub(crate) fn forget_all(&self, _: &mut Registration, gone: &dyn Fn(&M) -> bool) {
        let newest = self.indexes.get(self.newest.load(Ordering::Relaxed)).and_then(OnceLock::get);
        for slot in newest.into_iter().flatten() {
            let found = slot.load(Ordering::Relaxed);
            if let Some(entry) = self.entry(found).filter(|_| found != 0)
                && (found ^ self.hash(entry)) & UPPER == 0
                && gone(&entry.child)
            {
                slot.store(found ^ UPPER, Ordering::Release);
            }
        }
    }

    /// The children that were added as the `first` and later, forgotten or not, `most` at most.
    pub(crate) fn children(&self, first: usize, most: usize) -> impl Iterator<Item = M> {
        let end = self.len.load(Ordering::Relaxed).min(first.saturating_add(most));
        (first..end).filter_map(|number| {
            let (run, at) = run_of(number);
            self.entries[run].get()?.get(at)?.get().map(|entry| entry.child)
        })
    }

    /// The newest index, if it has room enough, or the one after it; `None` if numbers have no room in a slot.
    fn with_room_for(&self, len: usize) -> Option<&[AtomicU64]> {
        if len > MOST {
            return None;
        }
        let newest = self.newest.load(Ordering::Relaxed);
        let slots = self.indexes.get(newest)?.get_or_init(|| empty((8 * FIRST) << newest));
        let each = if slots.len() <= SPARSE { 8 } else { 4 };
        if len * each <= slots.len() {
            return Some(slots);
        }
        let longer = self.indexes.get(newest + 1)?.get_or_init(|| {
            let longer = empty((8 * FIRST) << (newest + 1));
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
    use super::*;
    use crate::labels::Value;
    use crate::part::Part;

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
    fn what_is_forgotten_is_not_found_until_it_is_recalled_however_the_table_grows() {
        let table = Table::new();
        let labels = |n: u64| Labels(vec![Part::of(Value::Unsigned(n))], "");
        let registration = &mut Registration::begin();
        let add = |registration: &mut Registration, range: std::ops::Range<u64>| {
            range.for_each(|n| table.add(registration, &labels(n), &[""], n));
        };
        add(registration, 0..100);
        for n in (0..100).step_by(3) {
            assert_eq!(table.forget(registration, &labels(n)), Some(n));
            assert_eq!(table.forget(registration, &labels(n)), None, "it is gone");
        }
        add(registration, 100..5000);
        assert!((0..100).all(|n| table.find(&labels(n)) == (n % 3 != 0).then_some(n)));
        assert_eq!(table.recall(registration, &labels(1)), None, "it was not forgotten");
        assert_eq!(table.recall(registration, &labels(0)), Some(0));
        assert_eq!(table.find(&labels(0)), Some(0));
        table.forget_all(registration, &|&n| n >= 100);
        (0..5000).for_each(|n| table.turn_at(registration, n));
        assert!((1..5000).all(|n| table.find(&labels(n)) == (n % 3 == 0 || n >= 100).then_some(n)));
        assert_eq!(table.children(4990, 100).collect::<Vec<_>>(), (4990..5000).collect::<Vec<_>>());
    }

    #[test]
    fn runs_of_entries_are_twice_as_long_as_those_before() {
        assert_eq!([0, 15, 16, 47, 48].map(run_of), [(0, 0), (0, 15), (1, 0), (1, 31), (2, 0)]);
        let last = run_of(MOST - 1);
        assert_eq!(decode(UPPER | encode(last.0, last.1)), last);
    }
}
