//! Since when a series is, and that it has been removed: what a life cell is written with.
//!
//! Nobody waits for these cells and no update touches them. They are written under the state's lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cell::{Life, REMOVED};
use crate::format::CELL;
use crate::process::now_nanos;

/// The life cell of a series, by its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeCell(u32);

impl LifeCell {
    /// Of a series that has none: a gauge, or one that could not be created.
    pub const NONE: Self = Self(u32::MAX);

    pub(super) fn at(number: u32) -> Self {
        Self(number)
    }

    /// What the series' record says of it.
    pub(super) fn number(self) -> Option<u32> {
        (self != Self::NONE).then_some(self.0)
    }

    /// Where it is in the space of shared cells, in bytes.
    pub(super) fn offset(self) -> Option<u64> {
        (self != Self::NONE).then(|| u64::from(self.0) * CELL)
    }
}

/// A cell for a series that is created now.
pub(super) fn begin(cell: &AtomicU64) {
    let life = Life { created: now_nanos() / 1_000_000, is_removed: false };
    cell.store(life.encode(), Ordering::Relaxed);
}

/// The life cells of a file's removed series: a forked child has removed them, too.
#[derive(Debug, Default)]
pub(super) struct Removed(BTreeMap<u32, &'static AtomicU64>);

impl Removed {
    pub(super) fn remove(&mut self, LifeCell(number): LifeCell, cell: &'static AtomicU64) {
        cell.fetch_or(REMOVED, Ordering::Relaxed);
        self.0.insert(number, cell);
    }

    pub(super) fn restore(&mut self, LifeCell(number): LifeCell) {
        if let Some(cell) = self.0.remove(&number) {
            cell.fetch_and(!REMOVED, Ordering::Relaxed);
        }
    }

    pub(super) fn has(&self, LifeCell(number): LifeCell) -> bool {
        self.0.contains_key(&number)
    }

    /// Marks the cells of another file at the same addresses.
    pub(super) fn mark_anew(&self) {
        self.0.values().for_each(|cell| cell.store(REMOVED, Ordering::Relaxed));
    }
}
