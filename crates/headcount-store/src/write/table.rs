//! The cells of a native histogram's table: which bucket each place stands for, and what it counts.
//!
//! A place is taken once, by whichever thread is first, and stands for its bucket from then on. So to find it is a
//! load and a comparison, most often of the first cell that is looked at: neighbouring buckets have neighbouring
//! places. What is counted goes to the thread's slab, as for any histogram.

use super::life::LifeCell;
use super::slab::SumCells;
use crate::exponential::{Key, Schema};
use crate::sync::{AtomicU64, Ordering};

/// A table that is to be described.
#[derive(Clone, Copy, Debug)]
pub struct NewTable {
    /// How fine its buckets are.
    pub schema: Schema,
    /// How many there can be: a power of two.
    pub places: u32,
    /// That of the series, if it has a table already. It is the same series: removed with it.
    pub life: Option<LifeCell>,
}

/// The cells of one table, or of a series that has none.
#[derive(Clone, Copy, Debug)]
pub struct TableCells {
    /// A power of two; none, if the series could not be created.
    keys: &'static [AtomicU64],
    cells: SumCells,
    /// The cell of the first place.
    first: u32,
}

impl TableCells {
    pub(super) fn at(keys: &'static [AtomicU64], cells: SumCells, first: u32) -> Self {
        Self { keys, cells, first }
    }

    /// The cells of a series that could not be created: updates are counted as lost, for `store`.
    pub(super) fn lost(store: u16) -> Self {
        Self::at(&[], SumCells::lost(store), 0)
    }

    /// The summed cells of the series, of which the first few have no key.
    #[inline]
    #[must_use]
    pub fn cells(&self) -> SumCells {
        self.cells
    }

    /// How many summed cells the series has in this table.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.cell(self.keys.len())
    }

    /// Whether there is no place at all, because the series could not be created.
    #[must_use]
    pub fn are_lost(&self) -> bool {
        self.keys.is_empty()
    }

    /// The cell that counts what is in the bucket `key`, if it has a place.
    #[inline]
    #[must_use]
    pub fn find(&self, key: Key) -> Option<u32> {
        let at = self.first_place(key);
        if self.keys.get(at)?.load(Ordering::Relaxed) == key.encode() {
            return Some(self.cell(at));
        }
        self.find_beyond(at, key)
    }

    /// Where to look first.
    #[inline]
    fn first_place(&self, key: Key) -> usize {
        let index = if key.is_negative { !key.index } else { key.index };
        // Nothing gets lost that matters: there are fewer places.
        index.cast_unsigned() as usize & self.keys.len().wrapping_sub(1)
    }

    #[inline]
    fn cell(&self, place: usize) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a table has fewer places")]
        let place = place as u32;
        self.first + place
    }

    #[inline(never)]
    fn find_beyond(&self, at: usize, key: Key) -> Option<u32> {
        for at in self.places_from(at) {
            match self.keys[at].load(Ordering::Relaxed) {
                0 => return None,
                taken if taken == key.encode() => return Some(self.cell(at)),
                _ => {}
            }
        }
        None
    }

    fn places_from(&self, at: usize) -> impl Iterator<Item = usize> + use<> {
        let len = self.keys.len();
        (at..len).chain(0..at.min(len))
    }

    /// The cell that counts what is in the bucket `key`, for which a place is taken if need be: unless so many are
    /// taken already, or all. Threads that come at the same time may take one more each.
    #[cold]
    #[must_use]
    pub fn find_or_take(&self, key: Key, limit: usize) -> Option<u32> {
        let taken = self.keys.iter().filter(|cell| cell.load(Ordering::Relaxed) != 0).count();
        for at in self.places_from(self.first_place(key)) {
            let mut found = self.keys[at].load(Ordering::Relaxed);
            if found == 0 && taken < limit {
                let swapped =
                    self.keys[at].compare_exchange(0, key.encode(), Ordering::Relaxed, Ordering::Relaxed);
                found = swapped.map_or_else(|other| other, |_| key.encode());
            }
            if found == 0 {
                return None;
            }
            if found == key.encode() {
                return Some(self.cell(at));
            }
        }
        None
    }
}
