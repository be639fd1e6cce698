//! What of an index is still described, when files have gone.
//!
//! Most often other files describe the same: workers of one program do, and an archive describes what the
//! files did that were folded into it. Only if something is left without a description must the index be
//! made anew.

use std::ops::Range;

use crate::index::Index;

/// See the module.
#[derive(Debug)]
pub(crate) struct Marks<'a> {
    index: &'a Index,
    slots: Vec<bool>,
    gauges: Vec<bool>,
    /// Families of which the help text that the index keeps has been found, as it is in some description.
    families: Vec<bool>,
    /// Families of which the unit that the index keeps has been found.
    units: Vec<bool>,
}

impl<'a> Marks<'a> {
    /// Nothing is marked.
    pub(crate) fn new(index: &'a Index) -> Self {
        Self {
            index,
            slots: vec![false; index.slots() as usize],
            gauges: vec![false; index.gauges() as usize],
            families: vec![false; index.families().len()],
            units: index.families().iter().map(|family| family.unit.is_empty()).collect(),
        }
    }

    /// Marks sums.
    pub(crate) fn slots(&mut self, slots: Range<u32>) {
        self.slots[slots.start as usize..slots.end as usize].fill(true);
    }

    /// Marks gauges.
    pub(crate) fn gauges(&mut self, gauges: Range<u32>) {
        self.gauges[gauges.start as usize..gauges.end as usize].fill(true);
    }

    /// Marks a family that is described with this help text.
    pub(crate) fn family(&mut self, family: u32, help: &str) {
        self.families[family as usize] |= *self.index.family(family).help == *help;
    }

    /// Marks a family that is described with this unit.
    pub(crate) fn unit(&mut self, family: u32, unit: &str) {
        self.units[family as usize] |= *self.index.family(family).unit == *unit;
    }

    /// Whether nobody need look any more for a family's help text.
    pub(crate) fn has_family(&self, family: u32) -> bool {
        self.families[family as usize]
    }

    /// Whether all is described.
    pub(crate) fn are_complete(&self) -> bool {
        [&self.slots, &self.gauges, &self.families, &self.units]
            .into_iter()
            .all(|marks| marks.iter().all(|&mark| mark))
    }
}
