//! Tables of a native histogram's series.
//!
//! A table holds a bucket for whatever is observed. When it is full, a coarser one takes its place: no cell ever moves,
//! so what the old one has counted stays there, and readers put both together.

use headcount_store::exponential::{Place, Scale, Schema};
use headcount_store::format::family::Native;
use headcount_store::write::{Registration, SumCells, TableCells};

use crate::sync::OnceLock;

/// A table, and the one that has taken its place.
#[derive(Debug)]
pub(crate) struct Table {
    scale: Scale,
    cells: TableCells,
    next: OnceLock<Box<Table>>,
}

impl Table {
    /// A table with these cells, the newest of its series.
    pub(crate) fn new(scale: Scale, cells: TableCells) -> Self {
        Self { scale, cells, next: OnceLock::new() }
    }

    /// The table that is counted in now.
    #[inline]
    pub(crate) fn newest(&self) -> &Self {
        let mut table = self;
        while let Some(next) = table.next.get() {
            table = next;
        }
        table
    }

    /// The cell that counts `value`, if there is one.
    #[inline]
    pub(crate) fn find(&self, value: f64) -> Option<u32> {
        match self.scale.place(value) {
            Place::Bucket(key) => self.cells.find(key),
            place => self.without_key(place),
        }
    }

    /// Takes a place for a value that has none, in a coarser table if this one has as many as may be; where it is.
    /// `coarser` has another table [follow](Self::follow). If there is no space for one, here are places left.
    pub(crate) fn take<'a>(
        &'a self,
        value: f64,
        limit: usize,
        coarser: &mut dyn FnMut(&'a Self) -> Option<&'a Self>,
    ) -> Option<(&'a Self, u32)> {
        let mut table = self;
        loop {
            // The coarsest has more than there are buckets.
            let limit = if table.scale.schema == Schema::MIN { usize::MAX } else { limit };
            if let Some(cell) = table.find_or_take(value, limit) {
                return Some((table, cell));
            }
            match coarser(table) {
                Some(coarser) => table = coarser,
                None => return table.find_or_take(value, usize::MAX).map(|cell| (table, cell)),
            }
        }
    }

    /// The table that takes the place of this one. Whoever comes second finds it; who is first has it described.
    pub(crate) fn follow(
        &self,
        registration: &mut Registration,
        describe: impl FnOnce(&mut Registration, Scale) -> Option<TableCells>,
    ) -> Option<&Self> {
        if let Some(next) = self.next.get() {
            return Some(next);
        }
        let scale = Scale { schema: self.scale.schema.coarser()?, ..self.scale };
        let cells = describe(registration, scale)?;
        Some(self.next.get_or_init(|| Box::new(Self::new(scale, cells))))
    }

    fn find_or_take(&self, value: f64, limit: usize) -> Option<u32> {
        match self.scale.place(value) {
            Place::Bucket(key) => self.cells.find_or_take(key, limit),
            place => self.without_key(place),
        }
    }

    #[inline]
    fn without_key(&self, place: Place) -> Option<u32> {
        let cell = if place == Place::Zero { Native::ZERO } else { Native::NOWHERE };
        (!self.cells.are_lost()).then_some(cell)
    }

    /// The cells of the series in this table.
    #[inline]
    pub(crate) fn cells(&self) -> SumCells {
        self.cells.cells()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.cells.end()
    }

    /// Adds what something else has counted in each of these cells, and the sum.
    pub(crate) fn add(&self, counts: &[u64], mut sum: f64) {
        for (&count, cell) in counts.iter().zip(0..).filter(|(count, _)| **count > 0) {
            // The sum goes with the first count.
            self.cells().observe(cell, count, std::mem::take(&mut sum));
        }
    }
}
