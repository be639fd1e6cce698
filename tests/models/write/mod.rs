//! The writing side, as far as it is modelled.

pub(crate) use crate::registration::Registration;

#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../../crates/headcount-store/src/write/file.rs"]
pub(crate) mod file;
mod life;
pub(crate) mod memory;
pub(crate) mod models;
pub(crate) mod natives;
pub(crate) mod publishing;
#[allow(dead_code, private_interfaces, reason = "models need less than programs")]
#[path = "../../../crates/headcount-store/src/write/slab.rs"]
pub(crate) mod slab;
pub(crate) mod state;
#[allow(dead_code, private_interfaces, reason = "models need less than programs")]
#[path = "../../../crates/headcount-store/src/write/table.rs"]
pub(crate) mod table;

pub(crate) use slab::SumCells;
pub(crate) use table::TableCells;
