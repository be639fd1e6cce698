//! The reading side: what one of our files holds, copied and checked.
//!
//! The file belongs to another process, which goes on writing, and nothing in it is trusted: every
//! offset and length is checked against the file before it is followed. Whether it is read or mapped, a file that is
//! truncated meanwhile gives a short read and not a signal's death. What was published before the read
//! began is found; what is published later may be.
//!
//! A [`Reader`] reads a part at a time, for those who know some of it already; an [`Image`] is all of it. Who reads a
//! file again and again has an [`OpenFile`], which is [`Mapped`]; a [`View`] is the same to readers with a mapping and without.

mod cells;
mod guard;
mod image;
mod mapped;
mod open_file;
mod reach;
mod reader;
mod view;

pub use cells::{Cells, cells};
pub use image::Image;
pub use mapped::{Mapped, may_map, spacious};
pub use open_file::OpenFile;
pub use reach::Reach;
pub use reader::{Outline, Reader};
pub use view::View;
