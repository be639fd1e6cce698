//! Mapped files without a kernel: words that threads share.
//!
//! A word is there from when it is first other than 0. But loom has to know what threads share before they share it,
//! and a reader that looks too early has to look at something. So a file has, from the beginning, the words that models
//! fill while others look: the counts of the header, the first entries of the table, and both edges of each block
//! behind. What lies between is filled with zeros, or before; else loom says that it comes too late.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::format::extent::FIRST_TABLE_LEN;
use crate::format::header::{EXTENT_COUNT, HEADER_LEN, RECORDS_USED};
use crate::format::{BLOCK, CELL, u64_at};
use crate::sync::{AtomicU64, Ordering};

/// How far files of models grow, in blocks.
const BLOCKS: u64 = 6;
/// Entries of the table in the first block; those of its continuation are at the edge of a block.
const ENTRIES: u64 = FIRST_TABLE_LEN as u64;
/// Words at the edges of a block.
const FIRST: u64 = 9;
const LAST: u64 = 2;

/// The words of the file of this run, by their offsets.
static WORDS: Mutex<BTreeMap<u64, &'static AtomicU64>> = Mutex::new(BTreeMap::new());

fn words() -> MutexGuard<'static, BTreeMap<u64, &'static AtomicU64>> {
    WORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty file, the only one of a run.
pub(crate) fn new_file() -> File {
    words().clear();
    let table = (0..2 * ENTRIES).map(|word| HEADER_LEN as u64 + word * CELL);
    let edges = (1..BLOCKS).flat_map(|block| {
        let (start, end) = (block * BLOCK, (block + 1) * BLOCK);
        (0..FIRST).map(move |word| start + word * CELL).chain((1..=LAST).map(move |word| end - word * CELL))
    });
    [EXTENT_COUNT as u64, RECORDS_USED as u64].into_iter().chain(table).chain(edges).for_each(|at| {
        word(at);
    });
    tempfile::tempfile().expect("a temporary file")
}

fn word(at: u64) -> &'static AtomicU64 {
    words().entry(at).or_insert_with(|| Box::leak(Box::new(AtomicU64::of_one_side(0))))
}

/// Copies, as the kernel does, what stands in the file as far as that goes.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let have = file.metadata()?.len().saturating_sub(offset);
    let filled = buffer.len().min(usize::try_from(have).unwrap_or(usize::MAX));
    buffer[..filled].fill(0);
    let there: Vec<_> =
        words().range(offset..offset + filled as u64).map(|(&at, &word)| (at, word)).collect();
    for (at, word) in there {
        let at = usize::try_from(at - offset).expect("within the buffer");
        // Published are whole words, all but those that a copy ends in.
        let bytes = word.load(Ordering::Acquire).to_le_bytes();
        let end = filled.min(at + bytes.len());
        buffer[at..end].copy_from_slice(&bytes[..end - at]);
    }
    Ok(filled)
}

pub(super) fn blocks_per_page() -> u32 {
    1
}

pub(super) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    assert!(offset + len <= BLOCKS * BLOCK, "a model's file has few blocks");
    file.set_len(file.metadata()?.len().max(offset + len))
}

/// A part of the file.
#[derive(Debug)]
pub(super) struct Mapping {
    offset: u64,
    len: u64,
}

/// A half word, of a word of which the other half is 0.
pub(super) struct HalfWord(&'static AtomicU64);

impl HalfWord {
    pub(super) fn store(&self, value: u32, ordering: Ordering) {
        self.0.store(value.into(), ordering);
    }
}

impl Mapping {
    #[expect(clippy::unnecessary_wraps, reason = "the kernel may refuse")]
    pub(super) fn new(_: &File, offset: u64, len: u64) -> io::Result<Self> {
        Ok(Self { offset, len })
    }

    pub(super) fn release(self) {}

    /// Bytes that are copied are in no order.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) {
        assert!(offset + bytes.len() as u64 <= self.len, "{offset} lies outside of a mapping");
        for (at, bytes) in (offset..).step_by(8).zip(bytes.chunks_exact(8)) {
            let value = u64_at(bytes, 0);
            // Where there are zeros, writing some changes nothing.
            if value != 0 {
                self.u64(at).store(value, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn u64(&self, offset: u64) -> &'static AtomicU64 {
        assert!(offset + CELL <= self.len, "{offset} lies outside of a mapping");
        word(self.offset + offset)
    }

    pub(super) fn u64s(&self, _: u64, _: u32) -> &'static [AtomicU64] {
        unreachable!("no model has exemplars")
    }

    pub(super) fn u32(&self, offset: u64) -> HalfWord {
        HalfWord(self.u64(offset))
    }

    pub(super) fn map_over(&self, _: &File) -> io::Result<()> {
        unreachable!("no model forks")
    }

    pub(super) fn blank(&self) -> io::Result<()> {
        unreachable!("no model forks")
    }
}
