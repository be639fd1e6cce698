//! The bytes of a `.hc` file, encoded and decoded by hand and testable in memory.
//!
//! A file is a [header], a table of [extents](extent) that says which blocks hold what, the [records](record)
//! that describe [families](family) and series, some with a [table], the cells, and [exemplars](exemplar). An [archive]
//! has in it, besides, what many processes' series are [folded] into, and the [sources](source) that it stands for.
//! `docs/file-format.md` is the byte map of all of it.

pub mod archive;
pub mod exemplar;
pub mod extent;
pub mod family;
pub mod folded;
pub mod header;
pub mod record;
mod shape;
pub mod source;
pub mod table;

/// Bytes in a block, the unit in which extents are placed. Independent of the machine's page size.
pub const BLOCK: u64 = 4096;

/// Bytes in a cell.
pub const CELL: u64 = 8;

/// The newest format that this release reads: that of archives. Processes' own files are of version 1.
pub const VERSION: u32 = 2;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The caller has checked that `at + N` lies within `bytes`; a slip panics and never reads astray.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
