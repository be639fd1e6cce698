//! How far cells are described: what a file has beyond is room for more.

use crate::format::family::Shape;
use crate::format::table::Table;

/// The first cells behind those that are described, of the shared ones and of each slab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of the shared cells.
    pub shared: u32,
    /// Of the cells of slabs.
    pub summed: u32,
}

impl Reach {
    /// All that there are.
    pub const ALL: Self = Self { shared: u32::MAX, summed: u32::MAX };

    /// Takes in the cells of a series.
    pub fn add(&mut self, shape: &Shape, first_cell: u32, life: Option<u32>, table: Option<Table>) {
        let places = table.map_or(0, |table| table.places);
        let cells = u32::try_from(shape.cells()).unwrap_or(u32::MAX);
        let end = first_cell.saturating_add(cells).saturating_add(places);
        let own = if shape.has_shared_cells() { &mut self.shared } else { &mut self.summed };
        *own = end.max(*own);
        let keys = table.map_or(0, |table| table.first_key.saturating_add(table.places));
        let life = life.map_or(0, |life| life.saturating_add(1));
        self.shared = self.shared.max(keys).max(life);
    }
}
