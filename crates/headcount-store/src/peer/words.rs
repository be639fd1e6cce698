//! Words of a peer's file, either way: copied, or mapped while its process writes to it.
//!
//! Entries are made of whole words. Of a file that is mapped nothing stays as it was looked at: lengths and keys have to be
//! checked each time, or copied first.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::read::View;

/// Bytes in a word.
pub(super) const WORD: usize = size_of::<u64>();

/// The part of a file that is in use.
pub trait Words: Copy {
    /// How many bytes that is.
    fn used(self) -> usize;

    /// The word at an offset, which is a multiple of eight; zero if there is no whole one.
    fn word(self, at: usize) -> u64;

    /// Whether these words stand at an offset, which is a multiple of eight.
    fn have(self, at: usize, words: &[u8]) -> bool;

    /// Copies bytes, as far as they are there, in place of what `to` held.
    fn copy(self, range: Range<usize>, to: &mut Vec<u8>);
}

impl Words for &[u8] {
    fn used(self) -> usize {
        self.len()
    }

    #[inline]
    fn word(self, at: usize) -> u64 {
        self.get(at..at + WORD).map_or(0, value)
    }

    #[inline]
    fn have(self, at: usize, words: &[u8]) -> bool {
        self.get(at..at + words.len()) == Some(words)
    }

    fn copy(self, range: Range<usize>, to: &mut Vec<u8>) {
        to.clear();
        to.extend_from_slice(self.get(range).unwrap_or_default());
    }
}

/// The part in use of a file that is mapped.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    words: &'a [AtomicU64],
    used: usize,
}

impl<'a> Shared<'a> {
    /// `None` if not all of it is mapped. What is in it counts if the file [is whole](View::is_whole) afterwards.
    #[must_use]
    pub fn of(view: View<'a>) -> Option<Self> {
        let mapped = view.mapped()?;
        let first = mapped.words(0, 1)?.first()?.load(Ordering::Relaxed);
        // What was written before it is seen from here on.
        fence(Ordering::Acquire);
        let used = length(first);
        Some(Self { words: mapped.words(0, used.div_ceil(WORD))?, used })
    }
}

impl Words for Shared<'_> {
    fn used(self) -> usize {
        self.used
    }

    #[inline]
    fn word(self, at: usize) -> u64 {
        self.words.get(at / WORD).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    #[inline]
    fn have(self, at: usize, words: &[u8]) -> bool {
        let Some(own) = self.words.get(at / WORD..(at + words.len()) / WORD) else { return false };
        // Without a branch in it.
        let pairs = own.iter().zip(words.chunks_exact(WORD));
        pairs.fold(0, |any, (own, word)| any | (own.load(Ordering::Relaxed) ^ value(word))) == 0
    }

    fn copy(self, range: Range<usize>, to: &mut Vec<u8>) {
        to.clear();
        let words = range.start / WORD..range.end.div_ceil(WORD);
        for word in self.words.get(words).unwrap_or_default() {
            to.extend(word.load(Ordering::Relaxed).to_le_bytes());
        }
        to.truncate(range.end - range.start / WORD * WORD);
        to.drain(..(range.start % WORD).min(to.len()));
    }
}

/// What a word begins with: how many bytes are in use, or how long a key is.
pub(super) fn length(word: u64) -> usize {
    usize::try_from(word & u64::from(u32::MAX)).unwrap_or(usize::MAX)
}

fn value(word: &[u8]) -> u64 {
    word.try_into().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::super::entries::tests::peer_bytes;
    use super::*;
    use crate::peer::{Layout, START, read};
    use crate::read::{Mapped, may_map};

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    proptest! {
        #[test]
        fn what_is_mapped_is_what_is_copied(
            keys in prop::collection::vec("[a-z]{1,30}", 1..20),
            at in 0_usize..100,
            other in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let entries: Vec<_> = keys.iter().map(|key| (&**key, 1.5, 2.5)).collect();
            let file = file(&peer_bytes(&entries, Layout::ValueAndTime));
            assert!(may_map());
            let mapped = Mapped::new(&file).unwrap();
            let view = View::new(&file, Some(&mapped));
            let shared = Shared::of(view).unwrap();
            let mut buffer = Vec::new();
            let copied = read(&file, &mut buffer).unwrap();
            prop_assert_eq!(shared.used(), copied.len());
            let (mut one, mut two) = (vec![1; 3], vec![2; 5]);
            for len in 0..40 {
                let word = at * WORD;
                prop_assert_eq!(shared.word(word), copied.word(word));
                let range = word + len % 7..word + len;
                shared.copy(range.clone(), &mut one);
                copied.copy(range, &mut two);
                // What is not there whole is nobody's to copy.
                if word + len <= copied.len() {
                    prop_assert_eq!(&one, &two);
                }
            }
            let mut words = copied.get(START..START + 32).unwrap_or_default().to_vec();
            prop_assert_eq!(shared.have(START, &words), copied.have(START, &words));
            for (place, byte) in words.iter_mut().rev().zip(other) {
                *place = byte;
            }
            prop_assert_eq!(shared.have(START, &words), copied.have(START, &words));
            prop_assert!(!shared.have(copied.len(), &[0; 8]) && !copied.have(copied.len(), &[0; 8]));
            prop_assert!(view.is_whole(shared.used() as u64));
        }
    }

    #[test]
    fn what_is_in_use_beyond_the_mapping_is_for_reading() {
        let mut bytes = peer_bytes(&[("key", 1.0, 2.0)], Layout::ValueAndTime);
        bytes[0] += 8;
        let file = file(&bytes);
        assert!(may_map());
        let mapped = Mapped::new(&file).unwrap();
        assert!(Shared::of(View::new(&file, Some(&mapped))).is_none());
        assert!(Shared::of(View::from(&file)).is_none());
    }
}
