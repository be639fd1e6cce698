//! Which places of a file's tables are taken, and where what is counted there goes.
//!
//! A place that is taken stands for the same bucket for ever. So its key is looked at once, and of most places only the
//! count is read from then on.

use crate::native_buckets::BucketSlot;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct NativePlaces {
    /// Those of each table, in the order of the places.
    runs: Vec<Run>,
    /// Where those of each table end.
    ends: Vec<usize>,
}

/// Consecutive places that are added to consecutive slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) len: u32,
    pub(crate) slot: BucketSlot,
}

/// A place of a table, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NewPlace {
    pub(crate) table: usize,
    pub(crate) place: u32,
    pub(crate) slot: BucketSlot,
}

impl NativePlaces {
    /// The places of a table that are known, in order.
    pub(crate) fn of(&self, table: usize) -> &[Run] {
        let start = table.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(table).map_or(&[], |&end| &self.runs[start..end])
    }

    /// Takes in places that were not known before.
    pub(crate) fn add(&mut self, mut new: Vec<NewPlace>) {
        let Some(last) = new.iter().map(|new| new.table).max() else { return };
        new.sort_unstable();
        let mut new = new.into_iter().peekable();
        let mut all = Self::default();
        for table in 0..self.ends.len().max(last + 1) {
            let start = all.runs.len();
            let mut places: Vec<_> = std::iter::from_fn(|| new.next_if(|new| new.table == table))
                .map(|new| (new.place, new.slot))
                .collect();
            if places.is_empty() {
                all.runs.extend(self.of(table));
            } else {
                places.extend(self.of(table).iter().flat_map(Run::places));
                places.sort_unstable();
                places.into_iter().for_each(|(place, slot)| all.push(start, place, slot));
            }
            all.ends.push(all.runs.len());
        }
        *self = all;
    }

    /// Appends a place: to the last run, if it goes on with that and is of this table.
    fn push(&mut self, start: usize, place: u32, slot: BucketSlot) {
        match self.runs[start..].last_mut() {
            Some(last) if (last.first + last.len, last.slot + last.len) == (place, slot) => last.len += 1,
            _ => self.runs.push(Run { first: place, len: 1, slot }),
        }
    }
}

impl Run {
    fn places(&self) -> impl Iterator<Item = (u32, BucketSlot)> + use<> {
        (self.first..).zip(self.slot..).take(self.len as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_known_in_order_whenever_they_were_found(
            new in prop::collection::vec((0..4_usize, 0..20_u32, any::<bool>()), 0..60),
        ) {
            let mut places = NativePlaces::default();
            let mut known = BTreeMap::new();
            let mut waiting = Vec::new();
            for (slot, (table, place, is_end)) in (0..).zip(new) {
                // Some neighbours have slots side by side.
                let slot = if slot % 3 == 0 { slot } else { 100 * u32::try_from(table).unwrap() + place };
                if let std::collections::btree_map::Entry::Vacant(vacant) = known.entry((table, place)) {
                    vacant.insert(slot);
                    waiting.push(NewPlace { table, place, slot });
                }
                if is_end {
                    places.add(std::mem::take(&mut waiting));
                }
            }
            places.add(waiting);
            let found = (0..5).flat_map(|table| {
                places.of(table).iter().flat_map(Run::places).map(move |(place, slot)| ((table, place), slot))
            });
            prop_assert_eq!(found.collect::<Vec<_>>(), known.into_iter().collect::<Vec<_>>());
        }
    }
}
