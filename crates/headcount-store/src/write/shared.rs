//! The series of what is set: their cells are shared by all threads.

use super::gauge::{BitCell, GaugeCell, MostRecentCells};
use super::memory::Mapping;
use super::store::{Registration, SpaceError, Store, no_number};
use crate::format::CELL;
use crate::format::record::encode_series;

impl Registration {
    /// Describes the series of a gauge in a mode other than `mostrecent` and `livemostrecent`.
    ///
    /// # Errors
    ///
    /// When there is no space for it; the loss is counted in the file.
    pub fn add_gauge(&mut self, store: Store, family: u32, values: &[&str]) -> Result<GaugeCell, SpaceError> {
        let cell = |tail: &Mapping, at| GaugeCell::at(tail.u64(at));
        let added = self.try_add_shared(store, family, values, 1, cell);
        self.count_if_lost(store, added)
    }

    /// Describes the series of a gauge in the mode `mostrecent` or `livemostrecent`.
    ///
    /// # Errors
    ///
    /// When there is no space for it; the loss is counted in the file.
    pub fn add_most_recent(
        &mut self,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<MostRecentCells, SpaceError> {
        let cells = |tail: &Mapping, at| MostRecentCells::at(tail.u64(at), tail.u64(at + CELL));
        let added = self.try_add_shared(store, family, values, 2, cells);
        self.count_if_lost(store, added)
    }

    /// Describes a series with `count` shared cells, all as of gauges.
    ///
    /// # Errors
    ///
    /// When there is no space for it; the loss is counted in the file.
    pub fn add_gauges(
        &mut self,
        store: Store,
        family: u32,
        values: &[&str],
        count: u32,
    ) -> Result<Box<[GaugeCell]>, SpaceError> {
        let cells = |tail: &Mapping, at: u64| {
            (0..u64::from(count)).map(|cell| GaugeCell::at(tail.u64(at + cell * CELL))).collect()
        };
        let added = self.try_add_shared(store, family, values, count, cells);
        self.count_if_lost(store, added)
    }

    /// Describes a series with one shared cell of bits.
    ///
    /// # Errors
    ///
    /// When there is no space for it; the loss is counted in the file.
    pub fn add_bits(&mut self, store: Store, family: u32, values: &[&str]) -> Result<BitCell, SpaceError> {
        let cell = |tail: &Mapping, at| BitCell::at(tail.u64(at));
        let added = self.try_add_shared(store, family, values, 1, cell);
        self.count_if_lost(store, added)
    }

    fn try_add_shared<C>(
        &mut self,
        store: Store,
        family: u32,
        values: &[&str],
        count: u32,
        cells: impl FnOnce(&Mapping, u64) -> C,
    ) -> Result<C, SpaceError> {
        let writer = self.writer(store);
        writer.reserve_shared(count).map_err(SpaceError::NoSpace)?;
        let (index, tail, at) = writer.next_shared().ok_or_else(no_number)?;
        let cells = cells(tail, at);
        self.describe(store, |record| encode_series(family, index, None, None, values, record))?;
        self.writer(store).take_shared(count);
        Ok(cells)
    }
}
