//! The bytes of files, as the crate has them: nothing in there is shared.

pub(crate) use store::format::{BLOCK, CELL, exemplar, extent, family, header, record, source, table};

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
