//! The writing side, as far as it is modelled.

pub(crate) use crate::registration::Registration;

pub(crate) mod models;
#[allow(dead_code, private_interfaces, reason = "models need less than programs")]
#[path = "../../../crates/headcount-store/src/write/slab.rs"]
pub(crate) mod slab;
pub(crate) mod state;
