//! Words of a peer's file, either way: copied, or mapped while its process writes to it.
//!
//! Entries are made of whole words. Of a file that is mapped nothing stays as it was looked at: lengths and keys have to be
//! checked each time, or copied first.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

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
        // What was written before it is seen from here on.
        let first = mapped.words(0, 1)?.first()?.load(Ordering::Acquire);
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
