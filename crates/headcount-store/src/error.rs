//! Every way in which a file of the directory can be wrong.
//!
//! A bad file is data, not a failure: whoever reads a directory skips it, counts it under its
//! [`reason`](FileError::reason) and goes on.

use std::io;

/// Why a file cannot be read as what its name says it is.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The name ends in `.db`, but is not `<type>_<process>.db`.
    #[error("the name has no process after the type")]
    NoProcess,
    /// The first word of the name is no metric type.
    #[error("the name begins with no known type (counter, gauge, histogram, summary)")]
    UnknownType,
    /// The second word of a gauge file's name is no mode.
    #[error("the name has no known gauge mode")]
    UnknownMode,
    /// A directory, a link, a FIFO, a socket or a device.
    #[error("not a regular file but {0}")]
    NotRegular(&'static str),
    /// It was listed, and gone when it was opened.
    #[error("the file vanished before it was opened")]
    Vanished,
    /// The system refused to open or read it.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
    /// No bytes at all: a process was stopped between creating the file and filling it.
    #[error("the file is empty")]
    Empty,
    /// Too short for its fixed first part.
    #[error("{len} bytes are too few for a header of {need}")]
    TooShort {
        /// The file's length in bytes.
        len: u64,
        /// The least length in bytes.
        need: u64,
    },
    /// The first bytes are not this format's.
    #[error("the first bytes are not those of a Headcount file")]
    BadMagic,
    /// Written by a newer release with a format that this one does not know.
    #[error("format version {found} is newer than {known}: update Headcount")]
    NewerVersion {
        /// The version in the file.
        found: u32,
        /// The newest version that this release reads.
        known: u32,
    },
    /// The mark of what is in use stands beyond the file's end, or the file was truncated.
    #[error("{used} bytes should be in use, but the file ends at {len}")]
    UsedBeyondEnd {
        /// Where the part that is in use should end.
        used: u64,
        /// The file's length in bytes.
        len: u64,
    },
    /// An extent lies outside the file, overlaps, or leaves a gap.
    #[error("extent {index} does not fit the file")]
    BadExtent {
        /// Its place in the table.
        index: u32,
    },
    /// A length that leads outside of what is in use.
    #[error("the length at offset {offset} leads beyond what is in use")]
    BadLength {
        /// Offset in bytes of the entry whose length it is.
        offset: u64,
    },
    /// A record of a kind that a reader may not ignore.
    #[error("record kind {kind} at offset {offset} is unknown: update Headcount")]
    UnknownRecord {
        /// The kind's number.
        kind: u8,
        /// Offset in bytes within the descriptions.
        offset: u64,
    },
    /// A description that contradicts itself or another one.
    #[error("the description at offset {offset} is malformed: {what}")]
    BadDescription {
        /// Offset in bytes within the descriptions.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A name or label value is not UTF-8.
    #[error("the text at offset {offset} is not UTF-8")]
    InvalidUtf8 {
        /// Offset in bytes of the entry.
        offset: u64,
    },
    /// A key of a peer's file is not JSON.
    #[error("the key at offset {offset} is not JSON")]
    InvalidJson {
        /// Offset in bytes of the entry.
        offset: u64,
    },
    /// A key of a peer's file has not its four elements.
    #[error("the key at offset {offset} has not four elements of the right kinds")]
    WrongElements {
        /// Offset in bytes of the entry.
        offset: u64,
    },
    /// A bucket's upper bound is not a number.
    #[error("the bucket at offset {offset} has an upper bound (`le`) that is not a number")]
    BadBucketBound {
        /// Offset in bytes of the entry.
        offset: u64,
    },
    /// A sample's name is none that its family can have.
    #[error("the sample at offset {offset} has a name that its family cannot have")]
    ForeignSample {
        /// Offset in bytes of the entry.
        offset: u64,
    },
}

impl FileError {
    /// Every [`reason`](Self::reason) there is.
    pub const REASONS: [&str; 20] = [
        "no_process",
        "unknown_type",
        "unknown_mode",
        "not_regular",
        "vanished",
        "unreadable",
        "empty",
        "too_short",
        "bad_magic",
        "newer_version",
        "used_beyond_end",
        "bad_extent",
        "bad_length",
        "unknown_record",
        "bad_description",
        "invalid_utf8",
        "invalid_json",
        "wrong_elements",
        "bad_bucket_bound",
        "foreign_sample",
    ];

    /// One word for a label value; the same for every file with the same fault.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoProcess => "no_process",
            Self::UnknownType => "unknown_type",
            Self::UnknownMode => "unknown_mode",
            Self::NotRegular(_) => "not_regular",
            Self::Vanished => "vanished",
            Self::Unreadable(_) => "unreadable",
            Self::Empty => "empty",
            Self::TooShort { .. } => "too_short",
            Self::BadMagic => "bad_magic",
            Self::NewerVersion { .. } => "newer_version",
            Self::UsedBeyondEnd { .. } => "used_beyond_end",
            Self::BadExtent { .. } => "bad_extent",
            Self::BadLength { .. } => "bad_length",
            Self::UnknownRecord { .. } => "unknown_record",
            Self::BadDescription { .. } => "bad_description",
            Self::InvalidUtf8 { .. } => "invalid_utf8",
            Self::InvalidJson { .. } => "invalid_json",
            Self::WrongElements { .. } => "wrong_elements",
            Self::BadBucketBound { .. } => "bad_bucket_bound",
            Self::ForeignSample { .. } => "foreign_sample",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_distinct_and_fit_for_label_values() {
        let mut sorted = FileError::REASONS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), FileError::REASONS.len());
        for error in [FileError::Empty, FileError::BadMagic, FileError::NotRegular("a FIFO")] {
            assert!(FileError::REASONS.contains(&error.reason()));
        }
    }
}
