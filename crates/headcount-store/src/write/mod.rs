//! The writing side: one process, its file, and the cells that its threads write to.
//!
//! Read in this order: `memory` maps and allocates; `file` grows a file by extents and records;
//! `naming` is how a file comes into the directory; `state` is everything of the process behind one
//! lock; `slab`, `gauge` and `table` are what an update runs, `exemplar` what is kept beside one, and `life` what a
//! removal does; `fork` moves a child to a file of its own; `store` is the way in, and `shared` for what is set.

mod exemplar;
mod file;
mod fork;
mod gauge;
mod life;
mod memory;
mod naming;
mod shared;
mod slab;
mod state;
mod store;
mod table;

pub use exemplar::EXEMPLAR_LIMIT;
pub use gauge::{BitCell, GaugeCell, MostRecentCells};
pub use life::{LifeCell, SeriesCells};
pub use memory::allocated_bytes;
pub use slab::SumCells;
pub use store::{CreateError, OnFork, Registration, SpaceError, Store};
pub use table::{NewTable, TableCells};

#[cfg(test)]
mod tests;
