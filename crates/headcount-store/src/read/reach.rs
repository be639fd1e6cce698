//! How far cells are described: what a file has beyond is room for more.

use std::ops::Range;

use crate::format::family::Shape;
use crate::format::table::Table;

/// The first cells behind those that are described, of the shared ones and of each slab; and which need not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of the shared cells.
    pub shared: u32,
    /// Of the cells of slabs.
    pub summed: u32,
    /// Shared cells that are nothing but keys of tables, in order: they never change once they are there, and are most of
    /// what there is.
    keys: Vec<Range<u32>>,
}

impl Reach {
    /// All that there are.
    pub const ALL: Self = Self { shared: u32::MAX, summed: u32::MAX, keys: Vec::new() };

    /// Takes in the cells of a series.
    pub fn add(&mut self, shape: &Shape, first_cell: u32, life: Option<u32>, table: Option<Table>) {
        let cells = u32::try_from(shape.cells()).unwrap_or(u32::MAX);
        let own = first_cell..first_cell.saturating_add(cells);
        if shape.has_shared_cells() {
            self.add_shared(own);
        } else {
            let places = table.map_or(0, |table| table.places);
            self.summed = self.summed.max(own.end.saturating_add(places));
        }
        life.into_iter().for_each(|life| self.add_shared(life..life.saturating_add(1)));
        if let Some(Table { first_key, places, .. }) = table {
            let keys = first_key..first_key.saturating_add(places);
            // Behind all others, as whoever describes one series after the other has it; otherwise they may be others, too.
            if keys.start >= self.shared && !keys.is_empty() {
                self.shared = keys.end;
                self.keys.push(keys);
            } else {
                self.add_shared(keys);
            }
        }
    }

    fn add_shared(&mut self, cells: Range<u32>) {
        self.shared = self.shared.max(cells.end);
        let first = self.keys.partition_point(|keys| keys.end <= cells.start);
        let len = self.keys[first..].partition_point(|keys| keys.start < cells.end);
        self.keys.drain(first..first + len);
    }

    /// Of some shared cells, those that are to be read unless all keys are known, in order.
    pub(super) fn without_keys(&self, cells: Range<u32>) -> impl Iterator<Item = Range<u32>> {
        let first = self.keys.partition_point(|keys| keys.end <= cells.start);
        let within = self.keys[first..].iter().take_while(move |keys| keys.start < cells.end).cloned();
        let mut start = cells.start;
        within.chain(std::iter::once(cells.end..cells.end)).filter_map(move |keys| {
            let part = start..keys.start;
            start = keys.end;
            (!part.is_empty()).then_some(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exponential::{Scale, Schema};
    use crate::format::family::Native;
    use crate::metric::GaugeMode;

    proptest! {
        /// Whatever a file says.
        #[test]
        fn what_is_left_out_is_keys_and_nothing_else(
            series in prop::collection::vec((any::<bool>(), 0..90_u32, 0..90_u32, 0..20_u32, any::<bool>()), 0..30),
            cells in (0..120_u32, 0..120_u32),
        ) {
            let schema = Schema::MAX;
            let native = Native { scale: Scale { schema, zero_threshold: 0.0 }, limit: 1, bounds: vec![] };
            let (mut reach, mut wanted, mut last) = (Reach::default(), [false; 200], 0);
            for (is_gauge, first, more, places, follows) in series {
                if is_gauge {
                    reach.add(&Shape::Gauge(GaugeMode::Sum), first, None, None);
                    wanted[first as usize] = true;
                } else {
                    let life = if follows { last } else { first };
                    let first_key = if follows { life + 1 } else { more };
                    let table = Table { first_key, places, schema };
                    reach.add(&Shape::NativeHistogram(native.clone()), 0, Some(life), Some(table));
                    wanted[life as usize] = true;
                    last = (first_key + places).min(150);
                }
            }
            let (start, end) = (cells.0.min(cells.1), cells.0.max(cells.1));
            let parts: Vec<_> = reach.without_keys(start..end).collect();
            prop_assert!(parts.iter().all(|part| !part.is_empty()));
            prop_assert!(parts.windows(2).all(|pair| pair[0].end < pair[1].start));
            for cell in start..end {
                let is_read = parts.iter().any(|part| part.contains(&cell));
                prop_assert!(is_read || !wanted[cell as usize], "{}", cell);
                prop_assert!(is_read || reach.keys.iter().any(|keys| keys.contains(&cell)), "{}", cell);
            }
        }
    }

    #[test]
    fn keys_that_follow_one_another_are_all_left_out() {
        let schema = Schema::MAX;
        let native = Native { scale: Scale { schema, zero_threshold: 0.0 }, limit: 1, bounds: vec![] };
        let mut reach = Reach::default();
        for (life, first_key) in [(0, 1), (9, 10), (0, 18)] {
            let table = Table { first_key, places: 8, schema };
            reach.add(&Shape::NativeHistogram(native.clone()), 0, Some(life), Some(table));
        }
        assert_eq!(reach.without_keys(0..30).collect::<Vec<_>>(), [0..1, 9..10, 26..30]);
        assert_eq!((reach.shared, reach.summed), (26, 11));
    }
}
