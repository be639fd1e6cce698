//! Since when a series is, and that it has been removed: what a life cell is written with.
//!
//! Nobody waits for these cells and no update touches them. They are written under the state's lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::gauge::{BitCell, GaugeCell, MostRecentCells};
use super::slab::{SumCells, bits_of};
use super::store::Registration;
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

/// The cells of a series, of whatever kind.
#[derive(Clone, Copy, Debug)]
pub enum SeriesCells {
    /// Summed cells, and how many.
    Summed(SumCells, u32),
    /// Of a gauge.
    Gauge(GaugeCell),
    /// Of a gauge that keeps what was set last.
    MostRecent(MostRecentCells),
    /// Of a gauge histogram.
    Gauges(&'static [GaugeCell]),
    /// Of a state set.
    Bits(BitCell),
    /// Of an info, which has a life and no value.
    None,
}

impl SeriesCells {
    /// Makes what is set as if it had never been; what is summed stays as it is.
    pub fn unset(self) {
        match self {
            Self::Gauge(cell) => cell.unset(),
            Self::MostRecent(cells) => cells.unset(),
            Self::Gauges(cells) => cells.iter().for_each(|cell| cell.unset()),
            Self::Bits(cell) => cell.store(0),
            Self::Summed(..) | Self::None => {}
        }
    }
}

impl Registration {
    /// A number that is another one once the series has been updated, but for a gauge that was set to the same.
    /// `None` for what is not updated at all.
    #[must_use]
    pub fn trace(&self, cells: SeriesCells) -> Option<u64> {
        Some(match cells {
            SeriesCells::Summed(cells, count) => trace(bits_of(self.state(), cells, count)),
            SeriesCells::Gauge(cell) => cell.bits(),
            SeriesCells::MostRecent(cells) => trace(cells.bits().into_iter()),
            SeriesCells::Gauges(cells) => trace(cells.iter().map(|cell| cell.bits())),
            SeriesCells::Bits(cell) => cell.get(),
            SeriesCells::None => return None,
        })
    }
}

/// Cells that are zero leave no trace: in a slab, more of them come without an update.
fn trace(cells: impl Iterator<Item = u64>) -> u64 {
    // Sums that grow hardly ever change each other's trace back: an odd factor for each loses no bit.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    (0_u64..).zip(cells).fold(0, |trace, (at, bits)| {
        trace.wrapping_add(bits.wrapping_mul(FACTOR.wrapping_mul(2 * at + 1) | 1))
    })
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

    /// Marks the cells of another file at the same addresses.
    pub(super) fn mark_anew(&self) {
        self.0.values().for_each(|cell| cell.store(REMOVED, Ordering::Relaxed));
    }
}
