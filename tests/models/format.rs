//! The bytes of files, as the crate has them: nothing in there is shared.

pub(crate) use store::format::{BLOCK, CELL, exemplar, family, header, record, source, table};

pub(crate) mod extent {
    pub(crate) use store::format::extent::{Content, ENTRY_LEN, Extent, TABLE_BLOCK_LEN};

    /// So few that the table continues where models have it grow.
    pub(crate) const FIRST_TABLE_LEN: usize = 3;
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
