//! Exemplars, beside the summed cells that they were counted in.
//!
//! A cell gets a slot in the file with its first exemplar, and keeps it. Which one, a table tells, which is read
//! without a lock; only who adds to it takes the process's lock, as who creates a series does. A slot is written by
//! whoever makes its number odd. A thread that finds it odd drops its exemplar, since one of the same instant is
//! being written: nobody waits for anybody.
//!
//! One exemplar in a millisecond is enough, the first: timestamps of Prometheus are no finer, and a slot that was
//! written all the time could never be read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::slab::{CELL, SumCells};
use super::state::State;
use crate::format::exemplar::{Exemplar, ExemplarLabels, SLOT_WORDS, TIME_WORD};

/// How many cells of a process may have exemplars. Those of others are counted as lost.
pub const EXEMPLAR_LIMIT: u32 = 4096;

/// Places in the table: so many that it is never more than half full. A power of two.
const PLACES: usize = 2 * EXEMPLAR_LIMIT as usize;

/// How long an exemplar stays, in seconds.
const STAYS: f64 = 0.001;

/// Which cells have slots.
static TABLE: OnceLock<Table> = OnceLock::new();

struct Table {
    entries: Box<[Entry]>,
    /// How many entries there are. Written under the process's lock.
    len: AtomicU32,
    /// Where exemplars are counted that are refused without asking for whom: the file that has had the first.
    lost: &'static AtomicU64,
}

#[derive(Default)]
struct Entry {
    /// The cell's place in every slab, in bytes, and 1; 0 while the entry is free. Written after the slot.
    key: AtomicU32,
    slot: OnceLock<Slot>,
}

/// Where the exemplar of a cell is.
#[derive(Clone, Copy)]
struct Slot {
    words: &'static [AtomicU64; SLOT_WORDS as usize],
    /// The cell's number in the file.
    cell: u32,
}

impl SumCells {
    /// Keeps an exemplar of the cell `index`: what was counted there, and when, in seconds since 1970. Instead of
    /// a value that is not a number, and of the same millisecond, the one that is there is kept.
    ///
    /// What cannot be kept for want of space is counted.
    pub fn set_exemplar(self, index: u32, value: f64, time: f64, labels: &ExemplarLabels) {
        if value.is_nan() || !self.exist() {
            return;
        }
        let place = self.place(index);
        let slot = TABLE.get().and_then(|table| table.find(place)).or_else(|| add(place));
        if let Some(slot) = slot {
            slot.write(value, time, labels);
        }
    }

    /// Counts an exemplar that was refused.
    #[cold]
    pub fn refuse_exemplar(self) {
        if let Some(table) = TABLE.get().or_else(|| init(&State::lock(), self.place(0))) {
            table.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The table, which begins with the first exemplar. `None` for a cell that does not exist.
fn init(state: &State, place: u32) -> Option<&'static Table> {
    let lost = state.lost_exemplars(place / CELL)?;
    Some(TABLE.get_or_init(|| {
        let entries = (0..PLACES).map(|_| Entry::default()).collect();
        Table { entries, len: AtomicU32::new(0), lost }
    }))
}

/// Gives a cell a slot.
#[cold]
#[inline(never)]
fn add(place: u32) -> Option<Slot> {
    if let Some(table) = TABLE.get()
        && table.len.load(Ordering::Relaxed) >= EXEMPLAR_LIMIT
    {
        table.lost.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let mut state = State::lock();
    let table = init(&state, place)?;
    // Another thread may have been faster, with this cell or with the last one.
    if let Some(slot) = table.find(place) {
        return Some(slot);
    }
    let len = table.len.load(Ordering::Relaxed);
    let slot = if len < EXEMPLAR_LIMIT { state.exemplar_slot(place / CELL).ok() } else { None };
    let Some((words, cell)) = slot else {
        state.lost_exemplars(place / CELL)?.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    let entry = table.probe(place).find(|entry| entry.key.load(Ordering::Relaxed) == 0)?;
    let slot = *entry.slot.get_or_init(|| Slot { words, cell });
    entry.key.store(key(place), Ordering::Release);
    table.len.store(len + 1, Ordering::Relaxed);
    Some(slot)
}

/// Places are those of whole cells, so this is never 0.
fn key(place: u32) -> u32 {
    place | 1
}

impl Table {
    /// The entries from the one on in which a place belongs.
    fn probe(&self, place: u32) -> impl Iterator<Item = &Entry> {
        // Fibonacci hashing: cells of one series lie side by side.
        let first = (place / CELL).wrapping_mul(0x9e37_79b9) >> (32 - PLACES.trailing_zeros());
        (0..PLACES).map(move |step| &self.entries[(first as usize + step) % PLACES])
    }

    fn find(&self, place: u32) -> Option<Slot> {
        for entry in self.probe(place) {
            match entry.key.load(Ordering::Acquire) {
                0 => break,
                found if found == key(place) => return entry.slot.get().copied(),
                _ => {}
            }
        }
        None
    }
}

impl Slot {
    fn write(self, value: f64, time: f64, labels: &ExemplarLabels) {
        let [sequence, words @ ..] = self.words;
        let seen = sequence.load(Ordering::Relaxed);
        let last = f64::from_bits(self.words[TIME_WORD].load(Ordering::Relaxed));
        // By a clock that was set back, the last one is not of this moment either.
        if seen % 2 == 1 || (time - last).abs() < STAYS {
            return;
        }
        let (writing, written) = (seen.wrapping_add(1), seen.wrapping_add(2));
        if sequence.compare_exchange(seen, writing, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return;
        }
        let exemplar = Exemplar { cell: self.cell, value, time, labels: *labels };
        // Readers go by the sum, whatever of this they see in whatever order; the next writer by the number.
        for (word, new) in words.iter().zip(exemplar.words(written)) {
            word.store(new, Ordering::Relaxed);
        }
        sequence.store(written, Ordering::Release);
    }
}
