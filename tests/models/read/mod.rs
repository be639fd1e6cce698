//! The reading side, over words that threads share.
//!
//! The kernel copies for a reader. Here it does so word by word, in ascending order, and does not let a later copy go
//! before an earlier one.

pub(crate) use cells::Cells;
pub(crate) use reach::Reach;
pub(crate) use reader::Reader;
pub(crate) use view::View;

#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../../crates/headcount-store/src/read/cells.rs"]
mod cells;
#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../../crates/headcount-store/src/read/reach.rs"]
mod reach;
#[allow(dead_code, reason = "models need less than programs")]
#[path = "../../../crates/headcount-store/src/read/reader.rs"]
mod reader;
mod view;
