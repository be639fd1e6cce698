//! Extents: runs of blocks, and what they hold.
//!
//! A file grows by extents and never moves one, so what is mapped stays mapped. The table that lists
//! them begins behind the header and goes on in extents of its own. Extents of one content, taken in
//! order, are one contiguous space: the descriptions, the shared cells, the cells of one slab.

use super::{BLOCK, u32_at};
use crate::format::header::HEADER_LEN;

/// Bytes of one entry of the table.
pub const ENTRY_LEN: usize = 16;
/// Entries in the first block, behind the header.
pub const FIRST_TABLE_LEN: usize = (4096 - HEADER_LEN) / ENTRY_LEN;
/// Entries in each further block of the table.
pub const TABLE_BLOCK_LEN: usize = 4096 / ENTRY_LEN;

/// What the blocks of an extent hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// The continuation of the extent table.
    Table,
    /// Descriptions of families and series.
    Records,
    /// Cells that every thread of the process sets.
    Shared,
    /// Cells of the slab with this number, to which one thread at a time adds.
    Slab(u32),
    /// The files that an archive stands for.
    Sources,
    /// Exemplars, a slot for each.
    Exemplars,
    /// Something of a newer release that a reader may pass over.
    Ignorable,
}

/// A run of blocks of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What it holds.
    pub content: Content,
    /// Its place in the space of its content, in blocks.
    pub first: u32,
    /// Its length in blocks.
    pub blocks: u32,
    /// Its place in the file, in blocks.
    pub at: u32,
}

const TABLE: u32 = 1;
const RECORDS: u32 = 2;
const SHARED: u32 = 3;
const SLAB: u32 = 4;
const SOURCES: u32 = 5;
const EXEMPLARS: u32 = 6;
/// Kinds from here on may be passed over by readers that do not know them.
const IGNORABLE: u32 = 128;

impl Extent {
    /// Slab numbers end here: the table has 24 bits for them.
    pub const MAX_SLAB: u32 = (1 << 24) - 1;

    /// The entry's bytes as two words, in the order in which they are stored.
    #[must_use]
    pub fn encode(&self) -> [u64; 2] {
        let kind = match self.content {
            Content::Table => TABLE,
            Content::Records => RECORDS,
            Content::Shared => SHARED,
            Content::Slab(number) => SLAB | number << 8,
            Content::Sources => SOURCES,
            Content::Exemplars => EXEMPLARS,
            Content::Ignorable => IGNORABLE,
        };
        [u64::from(kind) | u64::from(self.first) << 32, u64::from(self.blocks) | u64::from(self.at) << 32]
    }

    /// Reads an entry; `None` if its kind is unknown and may not be passed over.
    #[must_use]
    pub fn decode(entry: &[u8]) -> Option<Self> {
        let kind = u32_at(entry, 0);
        let content = match kind & 0xff {
            TABLE => Content::Table,
            RECORDS => Content::Records,
            SHARED => Content::Shared,
            SLAB => Content::Slab(kind >> 8),
            SOURCES => Content::Sources,
            EXEMPLARS => Content::Exemplars,
            IGNORABLE.. => Content::Ignorable,
            _ => return None,
        };
        Some(Self { content, first: u32_at(entry, 4), blocks: u32_at(entry, 8), at: u32_at(entry, 12) })
    }

    /// Offset in the file, in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.at) * BLOCK
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_is_read_back_as_it_was_written() {
        for content in [
            Content::Table,
            Content::Records,
            Content::Shared,
            Content::Slab(7),
            Content::Slab(Extent::MAX_SLAB),
            Content::Sources,
            Content::Exemplars,
        ] {
            let extent = Extent { content, first: 3, blocks: 4, at: 99 };
            let bytes: Vec<u8> = extent.encode().into_iter().flat_map(u64::to_le_bytes).collect();
            assert_eq!(Extent::decode(&bytes), Some(extent));
        }
    }

    #[test]
    fn kinds_of_a_newer_release_are_passed_over_or_refused() {
        let entry = |kind: u8| [kind, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(Extent::decode(&entry(200)).unwrap().content, Content::Ignorable);
        assert_eq!(Extent::decode(&entry(9)), None);
        assert_eq!(Extent::decode(&entry(0)), None);
    }
}
