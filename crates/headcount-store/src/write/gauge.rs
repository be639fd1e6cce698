//! Cells that are set, by any thread of the process: one store.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cell::{decode_gauge, encode_gauge};

/// The one cell of a gauge.
#[derive(Clone, Copy, Debug)]
pub struct GaugeCell(&'static AtomicU64);

impl GaugeCell {
    pub(super) fn at(cell: &'static AtomicU64) -> Self {
        Self(cell)
    }

    /// A cell that nobody reads, for a series that could not be created.
    #[must_use]
    pub fn nowhere() -> Self {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        Self(&NOWHERE)
    }

    /// Sets the value.
    #[inline]
    pub fn set(self, value: f64) {
        self.0.store(encode_gauge(value), Ordering::Relaxed);
    }

    /// Adds to the value; one that was never set counts as 0.
    #[inline]
    pub fn add(self, difference: f64) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let sum = encode_gauge(decode_gauge(seen).unwrap_or(0.0) + difference);
            match self.0.compare_exchange_weak(seen, sum, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => seen = newer,
            }
        }
    }

    /// Makes it a gauge that was never set.
    pub fn unset(self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The value; `None` if it was never set.
    #[must_use]
    pub fn get(self) -> Option<f64> {
        decode_gauge(self.bits())
    }

    pub(super) fn bits(self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A cell of bits that are set and cleared.
#[derive(Clone, Copy, Debug)]
pub struct BitCell(&'static AtomicU64);

impl BitCell {
    pub(super) fn at(cell: &'static AtomicU64) -> Self {
        Self(cell)
    }

    /// A cell that nobody reads, for a series that could not be created.
    #[must_use]
    pub fn nowhere() -> Self {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        Self(&NOWHERE)
    }

    /// Sets all bits.
    #[inline]
    pub fn store(self, bits: u64) {
        self.0.store(bits, Ordering::Relaxed);
    }

    /// Sets some bits.
    #[inline]
    pub fn set(self, bits: u64) {
        self.0.fetch_or(bits, Ordering::Relaxed);
    }

    /// Clears some bits.
    #[inline]
    pub fn clear(self, bits: u64) {
        self.0.fetch_and(!bits, Ordering::Relaxed);
    }

    /// All bits.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The two cells of a gauge that keeps what was set last: the value and its time.
///
/// The pair is not written as one. Whoever reads between the two stores, or comes after two threads
/// that raced, finds a value with the time of another that was set within the same instant: which of
/// the two is the most recent is then anybody's guess anyway.
#[derive(Clone, Copy, Debug)]
pub struct MostRecentCells {
    value: GaugeCell,
    time: &'static AtomicU64,
}

impl MostRecentCells {
    pub(super) fn at(value: &'static AtomicU64, time: &'static AtomicU64) -> Self {
        Self { value: GaugeCell(value), time }
    }

    /// Cells that nobody reads, for a series that could not be created.
    #[must_use]
    pub fn nowhere() -> Self {
        static NOWHEN: AtomicU64 = AtomicU64::new(0);
        Self { value: GaugeCell::nowhere(), time: &NOWHEN }
    }

    /// Sets the value, at a time in seconds since 1970.
    pub fn set(self, value: f64, time: f64) {
        self.value.set(value);
        self.time.store(time.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the value, at a time in seconds since 1970.
    pub fn add(self, difference: f64, time: f64) {
        self.value.add(difference);
        self.time.store(time.to_bits(), Ordering::Relaxed);
    }

    /// Makes it a gauge that was never set.
    pub fn unset(self) {
        self.value.unset();
    }

    /// The value; `None` if it was never set.
    #[must_use]
    pub fn get(self) -> Option<f64> {
        self.value.get()
    }

    pub(super) fn bits(self) -> [u64; 2] {
        [self.value.bits(), self.time.load(Ordering::Relaxed)]
    }
}
