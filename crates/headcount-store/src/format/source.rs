//! Sources: which files an archive stands for.
//!
//! An archive appears before the files that were folded into it are gone. Whoever finds both counts the
//! archive only. A name alone would not do: numbers come again when all files are gone. So a file is
//! known by its name and one number that it shares with no other of that name.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::{u32_at, u64_at};
use crate::directory::FileName;
use crate::error::FileError;
use crate::read::Reader;

/// A file that was folded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// For a file of ours, when it was created, in nanoseconds since 1970; for a peer's, its inode.
    pub identity: u64,
}

/// Bytes before a name: its length, four of padding, and the identity.
const HEAD_LEN: usize = 16;

impl Source {
    /// The source that an open file is under its name.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not what it should be.
    pub fn of(name: &FileName, file: &File) -> Result<Self, FileError> {
        let identity = match name {
            FileName::Peer(_) => file.metadata().map_err(FileError::Unreadable)?.ino(),
            _ => Reader::open(file)?.header().created,
        };
        Ok(Self { name: name.to_string(), identity })
    }
}

/// The bytes of a list of sources.
#[must_use]
pub fn encode(sources: &[Source]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Source { name, identity } in sources {
        // Names of files are shorter than 256 bytes.
        bytes.extend(u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(identity.to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// Reads a list of sources, which ends with a name of no length, or with the bytes.
///
/// # Errors
///
/// When a length leads outside, or a name is no text.
pub fn decode(bytes: &[u8]) -> Result<Vec<Source>, FileError> {
    let mut sources = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + HEAD_LEN) {
        let len = u32_at(head, 0) as usize;
        if len == 0 {
            break;
        }
        let offset = at as u64;
        let start = at + HEAD_LEN;
        let name = bytes.get(start..start + len).ok_or(FileError::BadLength { offset })?;
        let name = std::str::from_utf8(name).map_err(|_| FileError::InvalidUtf8 { offset })?;
        sources.push(Source { name: name.to_owned(), identity: u64_at(head, 8) });
        at = (start + len).next_multiple_of(8);
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_is_read_back_as_it_was_written_whatever_zeros_follow() {
        let names = ["dead-0.hc", "archive-17.hc", "counter_12.dead-3.db"];
        let sources: Vec<_> = names
            .into_iter()
            .zip(5..)
            .map(|(name, identity)| Source { name: name.into(), identity })
            .collect();
        let mut bytes = encode(&sources);
        assert_eq!(decode(&bytes).unwrap(), sources);
        bytes.resize(4096, 0);
        assert_eq!(decode(&bytes).unwrap(), sources);
        assert_eq!(decode(&bytes[..20]).unwrap_err().reason(), "bad_length");
        assert_eq!(decode(&[]).unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
