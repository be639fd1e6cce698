//! The cells of a file, copied.

use std::collections::BTreeMap;

/// The cells of a file. The buffers are used again for the next one.
#[derive(Debug, Default)]
pub struct Cells {
    pub(super) shared: Vec<u64>,
    pub(super) slabs: BTreeMap<u32, Vec<u64>>,
}

impl Cells {
    pub(super) fn clear(&mut self) {
        self.shared.clear();
        // Kept, though empty: the next file most often has slabs of the same numbers.
        self.slabs.values_mut().for_each(Vec::clear);
    }

    /// The shared cell with this number; a cell that is not there yet is zero.
    #[must_use]
    pub fn shared(&self, cell: u32) -> u64 {
        self.shared.get(cell as usize).copied().unwrap_or(0)
    }

    /// The slabs; a cell beyond the end of one is zero.
    pub fn slabs(&self) -> impl Iterator<Item = &[u64]> {
        self.slabs.values().filter(|slab| !slab.is_empty()).map(Vec::as_slice)
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
        self.slabs().filter_map(move |slab| slab.get(cell as usize).copied())
    }

    /// Whether every cell is zero.
    #[must_use]
    pub fn are_blank(&self) -> bool {
        let blank = |cells: &[u64]| cells.iter().all(|&cell| cell == 0);
        blank(&self.shared) && self.slabs().all(blank)
    }
}
