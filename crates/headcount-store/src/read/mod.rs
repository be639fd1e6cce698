//! The reading side: what one of our files holds, copied and checked.
//!
//! The file belongs to another process, which goes on writing, and nothing in it is trusted: every
//! offset and length is checked against the file before it is followed. It is read, not mapped: a file
//! that is truncated meanwhile gives a short read and not a signal. What was published before the read
//! began is found; what is published later may be.
//!
//! A [`Reader`] reads a part at a time, for those who know some of it already; an [`Image`] is all of it.

mod cells;
mod image;
mod read_at;
mod reader;

pub use cells::{Cells, cells};
pub use image::Image;
pub(crate) use read_at::read_up_to;
pub use reader::Reader;
