//! Where the cells of native histograms' tables go.

use std::ops::Range;

use headcount_store::exponential::Key;
use headcount_store::format::family::Native;
use headcount_store::format::table::Table;
use headcount_store::read::{self, Cells};

use crate::marks::Marks;
use crate::native::NativeSlot;
use crate::tally::Tally;
use crate::totals::Slot;

/// A table of a series.
#[derive(Debug)]
pub(crate) struct NativeTable {
    pub(crate) native: NativeSlot,
    pub(crate) declared: Native,
    /// The first summed cell of the series.
    pub(crate) first_cell: u32,
    pub(crate) table: Table,
    pub(crate) covered: Covered,
}

/// Which observations of the histogram's buckets with bounds are in the table, too.
#[derive(Debug)]
pub(crate) enum Covered {
    /// Those in these cells.
    By(Range<u32>),
    /// There are no such buckets: what is in the table belongs into this one, of `+Inf`.
    Beyond(Slot),
    /// As many as this cell says.
    In(u32),
}

impl NativeTable {
    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        if let Covered::Beyond(slot) = self.covered {
            marks.slots(slot..slot + 1);
        }
    }

    /// The summed cells of the series.
    pub(crate) fn cells(&self) -> Range<u32> {
        self.first_cell..self.first_cell + self.declared.first_place() + self.table.places
    }

    /// Adds what a process's file holds.
    pub(crate) fn apply(&self, cells: &Cells, tally: &mut Tally) {
        let Self { declared, table, first_cell, .. } = self;
        let first_place = (*first_cell + declared.first_place()) as usize;
        let mut counts = vec![0_u64; table.places as usize];
        for slab in cells.slabs() {
            // A slab ends with the last cell that its threads have touched, rounded up.
            let places =
                (first_place * 8).min(slab.len())..((first_place + counts.len()) * 8).min(slab.len());
            let counted = counts.iter_mut().zip(read::cells(&slab[places]));
            counted.for_each(|(sum, count)| *sum = sum.wrapping_add(count));
        }
        let sum = tally.natives.get_mut(self.native);
        sum.declare(declared, table.schema);
        let [zero, nowhere] = [Native::ZERO, Native::NOWHERE].map(|cell| cells.sum(first_cell + cell));
        sum.zero = sum.zero.wrapping_add(zero);
        sum.nowhere = sum.nowhere.wrapping_add(nowhere);
        let covered = match &self.covered {
            Covered::By(buckets) => buckets.clone().map(|cell| cells.sum(cell)).fold(0, u64::wrapping_add),
            Covered::In(cell) => cells.sum(*cell),
            Covered::Beyond(_) => {
                counts.iter().fold(zero.wrapping_add(nowhere), |sum, &n| sum.wrapping_add(n))
            }
        };
        sum.covered = sum.covered.wrapping_add(covered);
        for (&count, place) in counts.iter().zip(table.first_key..) {
            // One that is counted in has its key, though it may be seen only the next time.
            if let Some(key) = Key::decode(cells.shared(place), table.schema).filter(|_| count > 0) {
                sum.add(key, table.schema, count);
            }
        }
        if let Covered::Beyond(slot) = self.covered {
            tally.totals.add_integers(slot, [covered]);
        }
    }
}
