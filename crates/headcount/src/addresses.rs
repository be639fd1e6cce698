//! A table of children by the addresses of their labels, for texts that stay where they are.
//!
//! It is read without a lock, and only grows: who adds holds the [`Registration`], and a level that is a quarter full, or
//! half if it is long, is followed by one twice as long. Other than in a [`Table`](crate::table::Table) the entries are in the slots
//! themselves, one step less. They may, for there are few: as many as places in the program that name a series.
//! Addresses come from nobody who could choose them, so that their hash is next to nothing. It is never trusted:
//! all addresses and lengths are compared.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use headcount_store::write::Registration;

use crate::place::Place;

/// Where a text is, and how long.
type Text = (usize, usize);

/// Texts that an entry holds in itself; more are a step away.
const NEAR: usize = 3;

#[derive(Clone, Copy)]
struct Entry<C> {
    near: [Text; NEAR],
    /// The others. They stay as long as the family, which is for ever.
    far: &'static [Text],
    hash: u64,
    child: C,
}

/// Slots of the first level; each further one has twice as many.
const FIRST: usize = 32;
/// A level of so many slots is a quarter full at most: where two entries want the same, the processor guesses wrong, which
/// costs a third of a look-up. Longer ones are half full, to take no more memory than that is worth.
const SPARSE: usize = 1024;
const LEVELS: usize = 32;

struct Level<C> {
    slots: Box<[Place<Entry<C>>]>,
    /// What is left of a hash when it is shifted by this says which slot.
    shift: u32,
}

/// See the module. All keys of a table have the same number of labels, those of its family.
pub(crate) struct Addresses<C> {
    /// The number of the level that has everything.
    newest: AtomicUsize,
    levels: [OnceLock<Level<C>>; LEVELS],
    /// How many entries there are, forgotten or not.
    len: AtomicUsize,
}

impl<C: Copy> Addresses<C> {
    pub(crate) fn new() -> Self {
        Self {
            newest: AtomicUsize::new(0),
            levels: std::array::from_fn(|_| OnceLock::new()),
            len: AtomicUsize::new(0),
        }
    }

    /// The child with these labels.
    #[inline(always)]
    pub(crate) fn find<const N: usize>(&self, values: &[&'static str; N]) -> Option<C> {
        let level = self.levels[self.newest.load(Ordering::Acquire) % LEVELS].get()?;
        let mut at = level.first(hash(values));
        loop {
            let slot = level.slots.get(at)?;
            match slot.get_ref() {
                Some(entry) if entry.has(values) => return Some(entry.child),
                None if slot.is_empty() => return None,
                _ => at = level.next(at),
            }
        }
    }

    /// Adds a child, unless it is there, perhaps forgotten: then it is found again.
    pub(crate) fn remember<const N: usize>(
        &self,
        registration: &mut Registration,
        values: &[&'static str; N],
        child: C,
    ) {
        let hash = hash(values);
        let len = self.len.load(Ordering::Relaxed);
        let Some(level) = self.with_room_for(registration, len + 1) else { return };
        let slot = level.slot_for(registration, hash, |entry| entry.has(values));
        if slot.is_empty() {
            self.len.store(len + 1, Ordering::Relaxed);
        }
        slot.set(registration, Entry::new(values, hash, child));
    }

    /// Forgets all children that are `gone`.
    pub(crate) fn forget_all(&self, registration: &mut Registration, gone: &dyn Fn(&C) -> bool) {
        let newest = self.levels[self.newest.load(Ordering::Relaxed) % LEVELS].get();
        for slot in newest.into_iter().flat_map(|level| &level.slots) {
            slot.leave(registration, |entry| gone(&entry.child));
        }
    }

    /// The newest level, with another free slot or three for each that is taken; `None` if there cannot be a longer one.
    fn with_room_for(&self, registration: &mut Registration, len: usize) -> Option<&Level<C>> {
        let newest = self.newest.load(Ordering::Relaxed);
        let level = self.levels.get(newest)?.get_or_init(|| Level::new(FIRST << newest));
        let each = if level.slots.len() <= SPARSE { 4 } else { 2 };
        if len * each <= level.slots.len() {
            return Some(level);
        }
        let longer = Level::new(level.slots.len() * 2);
        for slot in &level.slots {
            let Some(&entry) = slot.known(registration) else { continue };
            let new = longer.slot_for(registration, entry.hash, |_| false);
            new.set(registration, entry);
            if slot.get_ref().is_none() {
                new.leave(registration, |_| true);
            }
        }
        let longer = self.levels.get(newest + 1)?.get_or_init(|| longer);
        self.newest.store(newest + 1, Ordering::Release);
        Some(longer)
    }
}

impl<C: Copy> Level<C> {
    fn new(len: usize) -> Self {
        Self { slots: (0..len).map(|_| Place::new()).collect(), shift: u64::BITS - len.ilog2() }
    }

    #[inline(always)]
    fn first(&self, hash: u64) -> usize {
        // The highest bits depend on all others.
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of slots")]
        let first = (hash >> self.shift) as usize;
        first
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// The first slot that has the entry that is meant, forgotten or not, or is empty.
    fn slot_for(
        &self,
        registration: &mut Registration,
        hash: u64,
        is_meant: impl Fn(&Entry<C>) -> bool,
    ) -> &Place<Entry<C>> {
        let mut at = self.first(hash);
        while self.slots[at].known(registration).is_some_and(|entry| !is_meant(entry)) {
            at = self.next(at);
        }
        &self.slots[at]
    }
}

impl<C> Entry<C> {
    fn new<const N: usize>(values: &[&'static str; N], hash: u64, child: C) -> Self {
        let texts = values.map(place_of);
        let (near_texts, far) = texts.split_at(N.min(NEAR));
        let mut near = [(0, 0); NEAR];
        near[..near_texts.len()].copy_from_slice(near_texts);
        let far = if far.is_empty() { &[] } else { &*far.to_vec().leak() };
        Self { near, far, hash, child }
    }

    #[inline(always)]
    fn has<const N: usize>(&self, values: &[&'static str; N]) -> bool {
        // Without branches: that it is another's entry is rare.
        let mut differ = 0;
        for (&known, value) in self.near.iter().zip(values) {
            let text = place_of(value);
            differ |= (known.0 ^ text.0) | (known.1 ^ text.1);
        }
        let far = || values.iter().skip(NEAR).map(|value| place_of(value));
        differ == 0 && (N <= NEAR || self.far.iter().copied().eq(far()))
    }
}

#[inline(always)]
fn place_of(text: &'static str) -> Text {
    (text.as_ptr().addr(), text.len())
}

#[inline(always)]
fn hash<const N: usize>(values: &[&'static str; N]) -> u64 {
    let mixed = values.iter().fold(0_u64, |mixed, text| {
        let (address, len) = place_of(text);
        // The bits in which addresses of one program differ stay apart.
        mixed.rotate_left(20) ^ (address.wrapping_add(len.wrapping_mul(8)) as u64)
    });
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<C> fmt::Debug for Addresses<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts at different places, some with one beginning or one end.
    fn texts(count: usize) -> Vec<&'static str> {
        let all = "x".repeat(count).leak();
        (0..count).flat_map(|n| [&all[..n], &all[n..]]).collect()
    }

    #[test]
    fn children_are_found_by_address_and_length_however_the_table_grows() {
        let (table, texts) = (Addresses::new(), texts(300));
        let registration = &mut Registration::begin();
        for (n, &text) in texts.iter().enumerate() {
            assert_eq!(table.find(&["a", text, "b"]), None);
            table.remember(registration, &["a", text, "b"], n);
        }
        for (n, &text) in texts.iter().enumerate() {
            assert_eq!(table.find(&["a", text, "b"]), Some(n));
            assert_eq!(table.find(&[text, "a", "b"]), None);
        }
    }

    #[test]
    fn threads_that_look_while_the_table_grows_find_what_was_there() {
        let (table, texts) = (Addresses::new(), texts(200));
        let add = |n: usize| table.remember(&mut Registration::begin(), &[texts[n]], n);
        add(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while table.find(&[texts[399]]).is_none() {
                        assert_eq!(table.find(&[texts[0]]), Some(0));
                        assert!(table.find(&[texts[1]]).is_none_or(|child| child == 1));
                    }
                    // They were added in that order.
                    assert!((0..400).all(|n| table.find(&[texts[n]]) == Some(n)));
                });
            }
            (1..400).for_each(add);
        });
    }

    #[test]
    fn all_of_many_labels_are_compared() {
        let (table, texts) = (Addresses::new(), texts(20));
        let registration = &mut Registration::begin();
        for (n, &text) in texts.iter().enumerate() {
            table.remember(registration, &["a", "b", "c", "d", text], n);
        }
        for (n, &text) in texts.iter().enumerate() {
            assert_eq!(table.find(&["a", "b", "c", "d", text]), Some(n));
        }
        assert_eq!(table.find(&["a", "b", "c", texts[1], texts[1]]), None);
    }

    #[test]
    fn labels_with_one_hash_are_told_apart() {
        let table = Addresses::new();
        let registration = &mut Registration::begin();
        let level = table.with_room_for(registration, 1).unwrap();
        // A slot where another's search begins.
        level.slots[level.first(hash(&["a"]))].set(registration, Entry::new(&["b"], hash(&["a"]), 2));
        assert_eq!(table.find(&["a"]), None);
        table.remember(registration, &["a"], 1);
        assert_eq!(table.find(&["a"]), Some(1));
    }

    #[test]
    fn what_is_forgotten_is_not_found_until_it_is_remembered_however_the_table_grows() {
        let (table, texts) = (Addresses::new(), texts(100));
        let registration = &mut Registration::begin();
        for (n, &text) in texts.iter().enumerate() {
            table.remember(registration, &[text], n);
            table.forget_all(registration, &|child: &usize| child.is_multiple_of(3));
        }
        let is_there = |n: &usize| !n.is_multiple_of(3);
        for (n, &text) in texts.iter().enumerate() {
            assert_eq!(table.find(&[text]), Some(n).filter(is_there));
            table.remember(registration, &[text], n);
        }
        assert_eq!(table.len.load(Ordering::Relaxed), texts.len(), "none twice");
        assert!(texts.iter().enumerate().all(|(n, &text)| table.find(&[text]) == Some(n)));
    }
}
