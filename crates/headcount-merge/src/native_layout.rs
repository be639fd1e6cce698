//! Where the cells of native histograms' tables go.

use std::ops::Range;

use headcount_store::exponential::Key;
use headcount_store::format::family::Native;
use headcount_store::format::table::Table;
use headcount_store::read::{Cells, Reader};

use crate::gauge::Cell;
use crate::marks::Marks;
use crate::native_buckets::{BucketSlot, NativeBuckets, NativeSlot};
use crate::native_places::{NativePlaces, NewPlace, Run};
use crate::tally::Tally;
use crate::totals::Slot;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct NativeLayout {
    /// In the order of their cells.
    tables: Vec<NativeTable>,
}

/// A table of a series.
#[derive(Debug)]
struct NativeTable {
    native: NativeSlot,
    zero_threshold: f64,
    limit: u16,
    /// The first summed cell of the series.
    first_cell: u32,
    /// How many there are before that of the first place.
    first_place: u32,
    table: Table,
    covered: Covered,
}

/// Which observations of the histogram's buckets with bounds are in the table, too.
#[derive(Debug)]
pub(crate) enum Covered {
    /// Those in the cells of such buckets, of which there are so many.
    By(u32),
    /// There are no such buckets: what is in the table belongs into this one, of `+Inf`.
    Beyond(Slot),
    /// As many as the first cell says.
    First,
}

/// Where keys are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TableKeys<'a> {
    /// Among the cells that were read.
    Among(&'a Cells),
    /// In the file: most often all that are needed are known.
    In(&'a Reader<'a>),
}

impl TableKeys<'_> {
    fn of(self, cells: Range<u32>) -> Vec<u64> {
        match self {
            Self::Among(all) => cells.map(|cell| all.shared(cell)).collect(),
            Self::In(file) => file.read_shared(cells),
        }
    }
}

impl NativeLayout {
    /// Notes where the cells of a series are, and of its table.
    pub(crate) fn add(
        &mut self,
        (native, declared): (NativeSlot, &Native),
        first_cell: u32,
        table: Table,
        covered: Covered,
    ) {
        self.tables.push(NativeTable {
            native,
            zero_threshold: declared.scale.zero_threshold,
            limit: declared.limit,
            first_cell,
            first_place: declared.first_place(),
            table,
            covered,
        });
    }

    /// Whether there is no table.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        for table in &self.tables {
            if let Covered::Beyond(slot) = table.covered {
                marks.slots(slot..slot + 1);
            }
        }
    }

    /// The native histogram of a summed cell that has no slot. Of a file whose series are not in the order of their cells,
    /// perhaps none.
    pub(crate) fn native_of(&self, cell: u32) -> Option<NativeSlot> {
        let at = self.tables.partition_point(|table| table.first_cell <= cell).checked_sub(1)?;
        let table = &self.tables[at];
        let end = table.first_cell + table.first_place + table.table.places;
        (table.first_cell..end).contains(&cell).then_some(table.native)
    }

    /// Adds what a file holds, of which these places are known; what was not known is noted there.
    pub(crate) fn apply(
        &self,
        (cells, keys): (&Cells, TableKeys<'_>),
        places: &mut NativePlaces,
        buckets: &mut NativeBuckets,
        tally: &mut Tally,
    ) {
        if self.tables.is_empty() {
            return;
        }
        let slabs: Vec<_> = cells.slabs().map(|slab| slab.as_chunks().0).collect();
        let mut new = Vec::new();
        for (number, table) in self.tables.iter().enumerate() {
            let known = places.of(number);
            if !table.apply(&slabs, known, buckets.slots(), tally) {
                table.apply_unknown((&slabs, keys), known, buckets, tally, |place, slot| {
                    new.push(NewPlace { table: number, place, slot });
                });
            }
        }
        places.add(new);
    }
}

impl NativeTable {
    /// Adds what is counted in places that are known, and beside them. Tells whether that is all there is.
    fn apply(&self, slabs: &[&[Cell]], known: &[Run], slots: BucketSlot, tally: &mut Tally) -> bool {
        let Tally { totals, natives, .. } = tally;
        let [mut zero, mut nowhere, mut covered, mut others] = [0_u64; 4];
        let mut counted = 0_u64;
        let sums = natives.counts_mut(slots);
        for slab in slabs {
            let cell = |number: u32| cells_of(slab, self.first_cell + number, 1).first().map_or(0, number_of);
            zero = zero.wrapping_add(cell(Native::ZERO));
            nowhere = nowhere.wrapping_add(cell(Native::NOWHERE));
            covered = covered.wrapping_add(match self.covered {
                Covered::By(count) => added_up(cells_of(slab, self.first_cell + Native::CLASSIC, count)),
                Covered::First => cell(0),
                Covered::Beyond(_) => 0,
            });
            let places = self.places(slab);
            let mut end = 0;
            for run in known {
                let start = places.len().min(run.first as usize);
                others |= any_bits(&places[end..start]);
                end = places.len().min(start + run.len as usize);
                for (sum, cell) in sums[run.slot as usize..].iter_mut().zip(&places[start..end]) {
                    let count = number_of(cell);
                    (*sum, counted) = (sum.wrapping_add(count), counted.wrapping_add(count));
                }
            }
            others |= any_bits(&places[end..]);
        }
        if let Covered::Beyond(slot) = self.covered {
            covered = [zero, nowhere, counted].into_iter().fold(0, u64::wrapping_add);
            totals.add_integers(slot, [covered]);
        }
        let sum = natives.sum_mut(self.native);
        sum.declare(self.zero_threshold, self.limit, self.table.schema);
        for (sum, more) in [(&mut sum.zero, zero), (&mut sum.nowhere, nowhere), (&mut sum.covered, covered)] {
            *sum = sum.wrapping_add(more);
        }
        others == 0
    }

    /// Adds what is counted in places that are not known, and tells of those that have a bucket.
    fn apply_unknown(
        &self,
        (slabs, keys): (&[&[Cell]], TableKeys<'_>),
        known: &[Run],
        buckets: &mut NativeBuckets,
        tally: &mut Tally,
        mut found: impl FnMut(u32, BucketSlot),
    ) {
        let Tally { totals, natives, .. } = tally;
        let mut counts = vec![0_u64; self.table.places as usize];
        for slab in slabs {
            let places = counts.iter_mut().zip(self.places(slab));
            places.for_each(|(sum, cell)| *sum = sum.wrapping_add(number_of(cell)));
        }
        for run in known {
            counts[run.first as usize..][..run.len as usize].fill(0);
        }
        if let Covered::Beyond(slot) = self.covered {
            let counted = counts.iter().fold(0, |sum: u64, &count| sum.wrapping_add(count));
            totals.add_integers(slot, [counted]);
            let sum = natives.sum_mut(self.native);
            sum.covered = sum.covered.wrapping_add(counted);
        }
        let Table { schema, first_key, .. } = self.table;
        // One that is counted in has its key, though it may be seen only the next time.
        let keys = keys.of(first_key..first_key + self.table.places);
        let counted = (0..).zip(keys).zip(&counts).filter(|(_, count)| **count > 0);
        let keys = counted.filter_map(|((place, key), _)| Some((Key::decode(key, schema)?, place))).collect();
        let slots = buckets.intern(self.native, schema, keys);
        let sums = natives.counts_mut(buckets.slots());
        for (place, slot) in slots {
            let sum = &mut sums[slot as usize];
            *sum = sum.wrapping_add(counts[place as usize]);
            found(place, slot);
        }
    }

    /// The cells of the places in a slab.
    fn places<'a>(&self, slab: &'a [Cell]) -> &'a [Cell] {
        cells_of(slab, self.first_cell + self.first_place, self.table.places)
    }
}

/// Some cells of a slab, as far as they are there: it ends with the last that its threads have touched, rounded up.
fn cells_of(slab: &[Cell], first: u32, len: u32) -> &[Cell] {
    let Range { start, end } = first as usize..first as usize + len as usize;
    &slab[start.min(slab.len())..end.min(slab.len())]
}

fn number_of(cell: &Cell) -> u64 {
    u64::from_le_bytes(*cell)
}

fn added_up(cells: &[Cell]) -> u64 {
    cells.iter().map(number_of).fold(0, u64::wrapping_add)
}

/// 0 if no cell has anything.
fn any_bits(cells: &[Cell]) -> u64 {
    cells.iter().map(number_of).fold(0, |any, bits| any | bits)
}
