//! Where those cells of a file go that are summed over processes.
//!
//! To add many at once, whatever they are, and to take away again what was no integer, costs less than to tell them apart
//! one by one.

use std::ops::Range;

use crate::marks::Marks;
use crate::totals::{Slot, Totals};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SumLayout {
    /// In the order of the cells.
    runs: Vec<Run>,
    /// Those among them that are floats.
    floats: Vec<Floats>,
}

/// What a summed cell is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer,
    Float,
}

/// Consecutive cells that are added to consecutive slots.
#[derive(Debug)]
struct Run {
    cells: Range<u32>,
    first_slot: Slot,
}

/// Cells that are as far apart each as their slots: between them may be others, as the buckets of histograms are.
#[derive(Debug)]
struct Floats {
    first_cell: u32,
    first_slot: Slot,
    len: u32,
    step: u32,
}

impl SumLayout {
    /// Sends a cell to a slot.
    pub(crate) fn add(&mut self, cell: u32, slot: Slot, number: Number) {
        match self.runs.last_mut() {
            Some(last) if (last.cells.end, last.end_slot()) == (cell, slot) => last.cells.end += 1,
            _ => self.runs.push(Run { cells: cell..cell + 1, first_slot: slot }),
        }
        if number == Number::Float && !self.floats.last_mut().is_some_and(|last| last.go_on_with(cell, slot))
        {
            self.floats.push(Floats { first_cell: cell, first_slot: slot, len: 1, step: 1 });
        }
    }

    /// Adds the cells of a slab to the totals, for which there is room. It ends with the last cell that its threads have
    /// touched, rounded up.
    pub(crate) fn apply(&self, slab: &[u8], totals: &mut Totals) {
        let (slab, _) = slab.as_chunks();
        for Run { cells, first_slot } in &self.runs {
            let [start, end] = [cells.start, cells.end].map(|cell| slab.len().min(cell as usize));
            totals.add_integers(*first_slot, slab[start..end].iter().map(|&cell| u64::from_le_bytes(cell)));
        }
        for &Floats { first_cell, first_slot, len, step } in &self.floats {
            let cells = slab.get(first_cell as usize..).unwrap_or_default().chunks(step as usize);
            let cells = cells.take(len as usize).map(|cells| u64::from_le_bytes(cells[0]));
            totals.turn_into_floats((first_slot, step as usize), cells);
        }
    }

    /// The slot of a cell. Of a file whose series are not in the order of their cells, perhaps none.
    pub(crate) fn slot_of(&self, cell: u32) -> Option<Slot> {
        let at = self.runs.partition_point(|run| run.cells.start <= cell).checked_sub(1)?;
        let Run { cells, first_slot } = &self.runs[at];
        cells.contains(&cell).then(|| first_slot + (cell - cells.start))
    }

    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        self.runs.iter().for_each(|run| marks.slots(run.first_slot..run.end_slot()));
    }
}

impl Run {
    /// The slot behind the last.
    fn end_slot(&self) -> Slot {
        self.first_slot + (self.cells.end - self.cells.start)
    }
}

impl Floats {
    /// Takes a cell in, if it comes next; the second one says how far apart they are.
    fn go_on_with(&mut self, cell: u32, slot: Slot) -> bool {
        let Some(distance) = cell.checked_sub(self.first_cell).filter(|distance| *distance > 0) else {
            return false;
        };
        let step = if self.len == 1 { distance } else { self.step };
        let goes_on = slot.checked_sub(self.first_slot) == Some(distance)
            && step.checked_mul(self.len) == Some(distance);
        if goes_on {
            (self.len, self.step) = (self.len + 1, step);
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Sums of eighths are exact, so each way of adding comes to the same.
        #[test]
        fn every_cell_comes_to_its_slot_as_the_number_that_it_is(
            sums in prop::collection::vec((0..40_u32, 0..40_u32, any::<bool>()), 0..60),
            in_turn in any::<bool>(),
            (cells, lens) in (prop::collection::vec(0..1000_u32, 40), [0..60_usize, 0..60_usize]),
        ) {
            let number = |is_float| if is_float { Number::Float } else { Number::Integer };
            // Histograms in turn, or whatever a file may say.
            let sums: Vec<_> = if in_turn {
                (0..40).map(|at| (at, at + 3, at % 7 == 2)).collect()
            } else {
                sums
            };
            let mut layout = SumLayout::default();
            // Of one cell two things may be said; what it is then depends on who says it.
            let mut kinds = [None; 64];
            let sums: Vec<_> = sums.into_iter().filter(|&(cell, slot, is_float)| {
                kinds[cell as usize].replace(is_float).is_none_or(|known| known == is_float) && slot < 64
            }).collect();
            for &(cell, slot, is_float) in &sums {
                layout.add(cell, slot, number(is_float));
            }
            let (mut totals, mut expected) = (Totals::default(), Totals::default());
            totals.grow(64);
            expected.grow(64);
            let is_float = |cell: usize| sums.iter().any(|&(other, _, is_float)| other as usize == cell && is_float);
            for len in lens {
                let bits = |(at, &value): (usize, &u32)| match is_float(at) {
                    true => (f64::from(value) / 8.0).to_bits(),
                    false => value.into(),
                };
                let slab: Vec<u64> = cells.iter().enumerate().map(bits).take(len).collect();
                let bytes: Vec<u8> = slab.iter().flat_map(|cell| cell.to_le_bytes()).collect();
                layout.apply(&bytes, &mut totals);
                for &(cell, slot, is_float) in &sums {
                    let Some(&bits) = slab.get(cell as usize) else { continue };
                    match is_float {
                        true => expected.add_float(slot, f64::from_bits(bits)),
                        false => expected.add_integers(slot, [bits]),
                    }
                }
            }
            for slot in 0..64 {
                prop_assert_eq!(totals.get(slot), expected.get(slot), "{}", slot);
            }
        }
    }
}
