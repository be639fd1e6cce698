//! Entries: length, key, padding, value; and a time, in files of Python's client since 0.18.
//!
//! Which of the two it is, no field says. A file is walked with a time and without one, and has the
//! layout in which the lengths lead exactly to the end of what is in use: after the first entry, the
//! wrong layout would take part of a key for a length.

use std::ops::Range;

use super::words::{Words, length};
use crate::error::FileError;
use crate::format::u32_at;
use crate::read::View;

/// Bytes before the first entry: how many are in use (u32), and four of padding.
pub const START: usize = 8;
/// Bytes of which the first read takes hold; most of the time that is all.
const FIRST_READ: usize = 4096;

/// What follows an entry's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A value: Ruby's client, and Python's 0.16 and 0.17.
    Value,
    /// A value and the time when it was set: Python's client since 0.18.
    ValueAndTime,
}

impl Layout {
    /// How many bytes follow a key and its spaces.
    #[must_use]
    pub fn value_len(self) -> usize {
        match self {
            Self::Value => 8,
            Self::ValueAndTime => 16,
        }
    }

    /// Finds out which a file has.
    ///
    /// # Errors
    ///
    /// When the lengths lead to the end in neither.
    pub fn of(words: impl Words) -> Result<Self, FileError> {
        let fault = match Self::ValueAndTime.walk(words, START) {
            Ok(()) => return Ok(Self::ValueAndTime),
            Err(fault) => fault,
        };
        match Self::Value.walk(words, START) {
            Ok(()) => Ok(Self::Value),
            // The layout that got farther is the one that is broken.
            Err(other) => Err(FileError::BadLength { offset: fault.max(other) as u64 }),
        }
    }

    /// Whether a file has this one, if its lengths lead to the end in it.
    pub fn is_first(self, words: impl Words) -> bool {
        self == Self::ValueAndTime || Self::ValueAndTime.walk(words, START).is_err()
    }

    /// Follows the lengths from an entry on; the error is where they lead astray.
    fn walk(self, words: impl Words, start: usize) -> Result<(), usize> {
        let mut at = start;
        while at < words.used() {
            at = self.place(words, at).ok_or(at)?.end;
        }
        Ok(())
    }

    /// Where the parts of the entry at an offset are, which is a multiple of eight; `None` if it is not whole.
    #[inline]
    pub fn place(self, words: impl Words, at: usize) -> Option<Place> {
        let key_len = length(words.word(at));
        // One to eight spaces, so that the value is aligned.
        let padding = 8 - (4 + key_len) % 8;
        let key = at + 4..at + 4 + key_len;
        let value = key.end + padding;
        let end = value + self.value_len();
        (end <= words.used()).then_some(Place { key, value, end })
    }
}

/// Where the parts of an entry are in a file, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The key, without its spaces.
    pub key: Range<usize>,
    /// The value.
    pub value: usize,
    /// The next entry.
    pub end: usize,
}

/// One entry of a peer's file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Where the value stands in the file, in bytes.
    pub offset: u64,
    /// The key as stored, without padding. JSON, if the writer is to be trusted.
    pub key: &'a [u8],
    /// The value.
    pub value: f64,
    /// When the value was set, in seconds since 1970; 0 if the file does not say.
    pub time: f64,
}

/// Reads the part of a peer's file that is in use. `buffer` is used again for the next file.
///
/// # Errors
///
/// When the file cannot be read, has no header, or ends before what should be in use.
pub fn read<'a, 'f>(file: impl Into<View<'f>>, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], FileError> {
    let view = file.into();
    let mut start = [0; FIRST_READ];
    let first = view.read_up_to(&mut start, 0).map_err(FileError::Unreadable)?;
    let len = || view.len().unwrap_or(0);
    match first {
        0 => return Err(FileError::Empty),
        1..=3 => return Err(FileError::TooShort { len: first as u64, need: 4 }),
        _ => {}
    }
    let used = u32_at(&start, 0) as usize;
    let beyond_end = || FileError::UsedBeyondEnd { used: used as u64, len: len() };
    // An absurd number is found out before memory is taken for it.
    if used > first && (first < FIRST_READ || used as u64 > len()) {
        return Err(beyond_end());
    }
    if buffer.len() < used {
        // Zeros that nobody has touched yet cost nothing.
        *buffer = vec![0; used];
    }
    let first = first.min(used);
    buffer[..first].copy_from_slice(&start[..first]);
    let rest = view.read_up_to(&mut buffer[first..used], first as u64).map_err(FileError::Unreadable)?;
    if rest < used - first {
        return Err(beyond_end());
    }
    Ok(&buffer[..used])
}

/// How much of a peer's file is in use, in bytes, where that is to be had; [`read`] says why not.
pub fn used<'f>(file: impl Into<View<'f>>) -> Option<usize> {
    let mut first = [0; START];
    let read = file.into().read_up_to(&mut first, 0).ok()?;
    (read == first.len()).then(|| u32_at(&first, 0) as usize)
}

/// A peer's file whose lengths have been followed to the end.
#[derive(Clone, Copy, Debug)]
pub struct PeerFile<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> PeerFile<'a> {
    /// Takes the part of a file that is in use, as [`read`] left it.
    ///
    /// # Errors
    ///
    /// When the lengths lead to the end in neither layout.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FileError> {
        Ok(Self { bytes, layout: Layout::of(bytes)? })
    }

    /// The entries, in the order in which they were created.
    pub fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let Self { bytes, layout } = self;
        let float = move |at| f64::from_bits(bytes.word(at));
        let mut at = START;
        std::iter::from_fn(move || {
            let Place { key, value, end } = layout.place(bytes, at)?;
            at = end;
            let time = if layout == Layout::ValueAndTime { float(value + 8) } else { 0.0 };
            Some(Entry { offset: value as u64, key: &bytes[key], value: float(value), time })
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    /// A file as a peer would write it, header included.
    pub(crate) fn peer_bytes(entries: &[(&str, f64, f64)], layout: Layout) -> Vec<u8> {
        let mut bytes = vec![0; START];
        for (key, value, time) in entries {
            bytes.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
            bytes.extend(key.as_bytes());
            bytes.resize(bytes.len() + 8 - (4 + key.len()) % 8, b' ');
            bytes.extend(value.to_le_bytes());
            if layout == Layout::ValueAndTime {
                bytes.extend(time.to_le_bytes());
            }
        }
        let used = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&used.to_le_bytes());
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Vec<u8>, FileError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        read(&file, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    fn reason(bytes: &[u8]) -> &'static str {
        let fault = read_bytes(bytes).and_then(|used| PeerFile::new(&used).map(|_| ()));
        fault.err().map_or("none", |error| error.reason())
    }

    #[test]
    fn both_layouts_are_told_apart_by_their_bytes() {
        let entries = [("a", 1.0, 7.0), ("twelve bytes", 2.0, 8.0), ("x", 3.0, 9.0)];
        for layout in [Layout::Value, Layout::ValueAndTime] {
            for count in 1..=entries.len() {
                let mut bytes = peer_bytes(&entries[..count], layout);
                bytes.resize(65536, 0);
                let used = read_bytes(&bytes).unwrap();
                let file = PeerFile::new(&used).unwrap();
                assert_eq!(file.layout, layout);
                let read: Vec<_> = file.entries().map(|entry| (entry.key, entry.value)).collect();
                let written: Vec<_> =
                    entries[..count].iter().map(|entry| (entry.0.as_bytes(), entry.1)).collect();
                assert_eq!(read, written);
            }
        }
    }

    #[test]
    fn a_key_longer_than_the_first_read_is_read_whole() {
        let key = "k".repeat(100_000);
        let bytes = peer_bytes(&[(&key, 1.5, 0.0), ("last", 2.5, 4.0)], Layout::ValueAndTime);
        let used = read_bytes(&bytes).unwrap();
        let entries: Vec<_> = PeerFile::new(&used).unwrap().entries().collect();
        assert_eq!((entries[0].key.len(), entries[1].value, entries[1].time), (100_000, 2.5, 4.0));
        assert_eq!(entries[1].offset, bytes.len() as u64 - 16);
    }

    #[test]
    fn a_file_without_entries_is_no_fault() {
        assert_eq!(reason(&[0; 4]), "none");
        assert_eq!(reason(&[0; 65536]), "none");
        assert_eq!(reason(&peer_bytes(&[], Layout::Value)), "none");
    }

    #[test]
    fn each_fault_has_its_reason() {
        assert_eq!(reason(&[]), "empty");
        assert_eq!(reason(&[0; 3]), "too_short");
        let good = peer_bytes(&[("abc", 42.0, 987.0)], Layout::ValueAndTime);
        assert_eq!(reason(&good[..20]), "used_beyond_end");
        let mut used_beyond = good.clone();
        used_beyond[3] = 0x7f;
        assert_eq!(reason(&used_beyond), "used_beyond_end");
        let mut absurd = good.clone();
        absurd[8..16].copy_from_slice(b"somejunk");
        assert_eq!(reason(&absurd), "bad_length");
        let mut cut = good;
        cut[0] -= 4;
        assert_eq!(reason(&cut), "bad_length");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(used) = read_bytes(&bytes) {
                let _ = PeerFile::new(&used).map(|file| file.entries().count());
            }
            // With a plausible mark the walk begins.
            let len = u32::try_from(bytes.len()).unwrap();
            if bytes.len() > 4 {
                bytes[..4].copy_from_slice(&len.to_le_bytes());
                let _ = PeerFile::new(&bytes).map(|file| file.entries().count());
            }
        }
    }
}
