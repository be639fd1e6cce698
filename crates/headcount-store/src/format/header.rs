//! The first block of a file: who writes it, and how far it is filled.
//!
//! The first [`HEADER_LEN`] bytes are the header, the rest of the block is the beginning of the
//! [extent table](super::extent). All of it is final once the file has its name, except [`EXTENT_COUNT`],
//! [`RECORDS_USED`] and what counts losses, which only ever grow. Of an archive all is final.

use super::{BLOCK, VERSION, u32_at, u64_at};
use crate::error::FileError;
use crate::process::{Origin, ProcessId};

/// The first eight bytes of every file.
pub const MAGIC: [u8; 8] = *b"HEADCNT\0";
/// Length of the header in bytes; the extent table follows.
pub const HEADER_LEN: usize = 256;
/// Offset of the number of published extents (u32).
pub const EXTENT_COUNT: usize = 64;
/// Offset of the number of published bytes of descriptions (u64).
pub const RECORDS_USED: usize = 72;
/// Offset of the number of series that the process could not create (u64).
pub const LOST_SERIES: usize = 80;
/// Offset of the number of updates that the process could not record (u64).
pub const LOST_UPDATES: usize = 88;
/// Offset of the number of files that an archive was folded from (u64).
pub const FOLDED: usize = 96;
/// Offset of the number of exemplars that the process could not keep (u64).
pub const LOST_EXEMPLARS: usize = 104;

const AT_VERSION: usize = 8;
const AT_HEADER_LEN: usize = 12;
const AT_PID: usize = 16;
const AT_SLOT: usize = 20;
const AT_GENERATION: usize = 24;
const AT_PID_NAMESPACE: usize = 32;
const AT_START_TIME: usize = 40;
const AT_CREATED: usize = 48;
const NO_SLOT: u32 = u32::MAX;
/// The version of what a process writes. An archive has that in which it was introduced.
const PROCESS_VERSION: u32 = 1;
const ARCHIVE_VERSION: u32 = 2;

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The one process that writes the file.
    pub process: ProcessId,
    /// Its place under a supervisor.
    pub origin: Origin,
    /// When the file was created, in nanoseconds since 1970.
    pub created: u64,
    /// Published extents.
    pub extent_count: u32,
    /// Published bytes of descriptions.
    pub records_used: u64,
    /// Series that the process could not create.
    pub lost_series: u64,
    /// Updates that the process could not record.
    pub lost_updates: u64,
    /// Exemplars that the process could not keep.
    pub lost_exemplars: u64,
    /// How many processes' files an archive was folded from, over all folds; 0 for a process's own file.
    pub folded: u64,
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        let version = if self.folded == 0 { PROCESS_VERSION } else { ARCHIVE_VERSION };
        put(AT_VERSION, &version.to_le_bytes());
        put(AT_HEADER_LEN, &256_u32.to_le_bytes());
        put(AT_PID, &self.process.pid.to_le_bytes());
        put(AT_SLOT, &self.origin.slot.unwrap_or(NO_SLOT).to_le_bytes());
        put(AT_GENERATION, &self.origin.generation.to_le_bytes());
        put(AT_PID_NAMESPACE, &self.process.pid_namespace.to_le_bytes());
        put(AT_START_TIME, &self.process.start_time.to_le_bytes());
        put(AT_CREATED, &self.created.to_le_bytes());
        put(EXTENT_COUNT, &self.extent_count.to_le_bytes());
        put(RECORDS_USED, &self.records_used.to_le_bytes());
        put(LOST_SERIES, &self.lost_series.to_le_bytes());
        put(LOST_UPDATES, &self.lost_updates.to_le_bytes());
        put(FOLDED, &self.folded.to_le_bytes());
        put(LOST_EXEMPLARS, &self.lost_exemplars.to_le_bytes());
        bytes
    }

    /// Whether it is that of the same file, and of as much of it.
    #[must_use]
    pub fn is_as_long_as(&self, other: &Self) -> bool {
        let of = |header: &Self| (header.created, header.folded, header.extent_count, header.records_used);
        of(self) == of(other)
    }

    /// Reads the header from the first block of a file of `file_len` bytes, or the first [`HEADER_LEN`] bytes of that.
    ///
    /// # Errors
    ///
    /// When the block is short, or not this format's, or a newer version's.
    pub fn decode(block: &[u8], file_len: u64) -> Result<Self, FileError> {
        if file_len == 0 {
            return Err(FileError::Empty);
        }
        if block.len() < MAGIC.len() || block[..MAGIC.len()] != MAGIC {
            // Bytes of something else are told from the beginning of one of ours.
            let ours = MAGIC.starts_with(&block[..block.len().min(MAGIC.len())]);
            return Err(if ours {
                FileError::TooShort { len: file_len, need: BLOCK }
            } else {
                FileError::BadMagic
            });
        }
        if file_len < BLOCK || block.len() < HEADER_LEN {
            return Err(FileError::TooShort { len: file_len, need: BLOCK });
        }
        let version = u32_at(block, AT_VERSION);
        if version > VERSION {
            return Err(FileError::NewerVersion { found: version, known: VERSION });
        }
        let slot = u32_at(block, AT_SLOT);
        Ok(Self {
            process: ProcessId {
                pid: u32_at(block, AT_PID),
                pid_namespace: u64_at(block, AT_PID_NAMESPACE),
                start_time: u64_at(block, AT_START_TIME),
            },
            origin: Origin {
                slot: (slot != NO_SLOT).then_some(slot),
                generation: u64_at(block, AT_GENERATION),
            },
            created: u64_at(block, AT_CREATED),
            extent_count: u32_at(block, EXTENT_COUNT),
            records_used: u64_at(block, RECORDS_USED),
            lost_series: u64_at(block, LOST_SERIES),
            lost_updates: u64_at(block, LOST_UPDATES),
            lost_exemplars: u64_at(block, LOST_EXEMPLARS),
            folded: if version >= ARCHIVE_VERSION { u64_at(block, FOLDED) } else { 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        Header {
            process: ProcessId { pid: 4711, pid_namespace: 4_026_531_836, start_time: 123_456 },
            origin: Origin { slot: Some(3), generation: 2 },
            created: 1_700_000_000_000_000_001,
            extent_count: 5,
            records_used: 640,
            lost_series: 7,
            lost_updates: 8,
            lost_exemplars: 9,
            folded: 0,
        }
    }

    fn block(header: &Header) -> Vec<u8> {
        let mut block = header.encode().to_vec();
        block.resize(4096, 0);
        block
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        let header = sample();
        assert_eq!(Header::decode(&block(&header), 4096).unwrap(), header);
        let alone = Header { origin: Origin::default(), ..header };
        assert_eq!(Header::decode(&block(&alone), 4096).unwrap(), alone);
        let archive = Header { folded: 70, ..header };
        assert_eq!(Header::decode(&block(&archive), 4096).unwrap(), archive);
        assert_eq!((block(&header)[AT_VERSION], block(&archive)[AT_VERSION]), (1, 2));
    }

    #[test]
    fn a_header_that_is_not_ours_is_refused_with_its_reason() {
        let reason = |bytes: &[u8]| Header::decode(bytes, bytes.len() as u64).unwrap_err().reason();
        assert_eq!(reason(b""), "empty");
        assert_eq!(reason(b"HEA"), "too_short");
        assert_eq!(reason(&block(&sample())[..300]), "too_short");
        assert_eq!(reason(b"xyz"), "bad_magic");
        assert_eq!(reason(&[0; 4096]), "bad_magic");
        let mut newer = block(&sample());
        newer[AT_VERSION] = 9;
        assert_eq!(reason(&newer), "newer_version");
    }
}
