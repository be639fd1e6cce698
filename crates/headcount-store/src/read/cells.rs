//! The cells of a file, and what stands beside them, copied.

use std::collections::{BTreeMap, HashSet};

use crate::cell::Life;
use crate::format::exemplar::{Exemplar, SLOT_LEN};
use crate::format::u64_at;

/// The cells of a file. The buffers are used again for the next one.
#[derive(Debug, Default)]
pub struct Cells {
    pub(super) shared: Space,
    pub(super) slabs: BTreeMap<u32, Space>,
    pub(super) exemplars: Space,
}

/// Cells side by side, as they stand in the file: they are looked at once, and need no other form.
#[derive(Debug, Default)]
pub(super) struct Space {
    bytes: Vec<u8>,
    len: usize,
}

impl Space {
    /// Length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for more bytes, which are to be filled.
    pub(super) fn grow(&mut self, more: usize) -> &mut [u8] {
        let start = self.len;
        self.len += more;
        // What is there from the last file need not be cleared first.
        self.bytes.resize(self.bytes.len().max(self.len), 0);
        &mut self.bytes[start..self.len]
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn get(&self, cell: u32) -> Option<u64> {
        let at = cell as usize * 8;
        self.bytes().get(at..at + 8).map(|cell| u64_at(cell, 0))
    }

    fn is_blank(&self) -> bool {
        self.bytes().iter().all(|&byte| byte == 0)
    }
}

/// The cells whose bytes these are.
pub fn cells(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (cells, _) = bytes.as_chunks();
    cells.iter().map(|&cell| u64::from_le_bytes(cell))
}

impl Cells {
    pub(super) fn clear(&mut self) {
        self.shared.len = 0;
        self.exemplars.len = 0;
        // Kept, though empty: the next file most often has slabs of the same numbers.
        self.slabs.values_mut().for_each(|slab| slab.len = 0);
    }

    /// The shared cell with this number; a cell that is not there yet is zero.
    #[must_use]
    pub fn shared(&self, cell: u32) -> u64 {
        self.shared.get(cell).unwrap_or(0)
    }

    /// What the life cell of a series says, if it has one.
    #[must_use]
    pub fn life(&self, cell: Option<u32>) -> Life {
        Life::decode(cell.map_or(0, |cell| self.shared(cell)))
    }

    /// The bytes of all shared cells that are there.
    #[must_use]
    pub fn all_shared(&self) -> &[[u8; 8]] {
        self.shared.bytes().as_chunks().0
    }

    /// The bytes of the slabs, eight to a [cell](cells()); a cell beyond the end of one is zero.
    pub fn slabs(&self) -> impl Iterator<Item = &[u8]> {
        self.slabs.values().filter(|slab| slab.len > 0).map(Space::bytes)
    }

    /// The sum over all slabs of an integer cell.
    #[must_use]
    pub fn sum(&self, cell: u32) -> u64 {
        self.summed(cell).fold(0, u64::wrapping_add)
    }

    /// The sum over all slabs of a float cell.
    #[must_use]
    pub fn sum_f64(&self, cell: u32) -> f64 {
        self.summed(cell).map(f64::from_bits).sum()
    }

    fn summed(&self, cell: u32) -> impl Iterator<Item = u64> {
        self.slabs.values().filter_map(move |slab| slab.get(cell))
    }

    /// The exemplars, in the order of their slots. Several may name one cell.
    pub fn exemplars(&self) -> impl Iterator<Item = Exemplar> {
        self.exemplars.bytes().chunks_exact(SLOT_LEN).filter_map(Exemplar::decode)
    }

    /// Whether every cell is zero but for some of the shared ones.
    pub(super) fn are_blank_but_for(&self, lives: &HashSet<u32>) -> bool {
        let is_blank = |(number, cell)| cell == 0 || lives.contains(&number);
        (0..).zip(cells(self.shared.bytes())).all(is_blank) && self.slabs.values().all(Space::is_blank)
    }
}
