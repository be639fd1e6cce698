//! Entries: length, key, padding, value; and a time, in files of Python's client since 0.18.
//!
//! Which of the two it is, no field says. A file is walked with a time and without one, and has the
//! layout in which the lengths lead exactly to the end of what is in use: after the first entry, the
//! wrong layout would take part of a key for a length.

use crate::error::FileError;
use crate::format::u32_at;
use crate::read::View;

/// Bytes before the first entry: how many are in use (u32), and four of padding.
const START: usize = 8;
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
    fn len(self) -> usize {
        match self {
            Self::Value => 8,
            Self::ValueAndTime => 16,
        }
    }

    /// The value and the time that stand at an offset; zeros beyond the end.
    fn value_at(self, bytes: &[u8], offset: usize) -> (f64, f64) {
        let float = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            f64::from_le_bytes(bytes.unwrap_or_default())
        };
        let time = if self == Self::ValueAndTime { float(offset + 8) } else { 0.0 };
        (float(offset), time)
    }
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
    grow(buffer, FIRST_READ);
    let first = view.read_up_to(&mut buffer[..FIRST_READ], 0).map_err(FileError::Unreadable)?;
    let len = || view.len().unwrap_or(0);
    match first {
        0 => return Err(FileError::Empty),
        1..=3 => return Err(FileError::TooShort { len: first as u64, need: 4 }),
        _ => {}
    }
    let used = u32_at(buffer, 0) as usize;
    if used > first {
        let beyond_end = || FileError::UsedBeyondEnd { used: used as u64, len: len() };
        // An absurd number is found out before memory is taken for it.
        if first < FIRST_READ || used as u64 > len() {
            return Err(beyond_end());
        }
        grow(buffer, used);
        let rest = view.read_up_to(&mut buffer[first..used], first as u64).map_err(FileError::Unreadable)?;
        if rest < used - first {
            return Err(beyond_end());
        }
    }
    Ok(&buffer[..used])
}

/// Bytes of values that are read at a time: they stay in the processor's cache.
const PART: usize = 64 * 1024;

/// Reads the values that stand at these offsets, which ascend, and when they were set, in place of what
/// `values` held.
///
/// It is for a file of which `used` bytes were in use when it was followed; `false` if that has changed.
/// `buffer` is used again for the next file.
///
/// # Errors
///
/// When the file cannot be read, or ends before a value.
pub fn read_values<'a>(
    file: impl Into<View<'a>>,
    used: usize,
    layout: Layout,
    offsets: impl Iterator<Item = u32>,
    buffer: &mut Vec<u8>,
    values: &mut Vec<(f64, f64)>,
) -> Result<bool, FileError> {
    let view = file.into();
    values.clear();
    grow(buffer, PART);
    let mut start = 0;
    let mut filled = read_part(view, start, used, buffer)?;
    if filled < 4 || u32_at(buffer, 0) as usize != used {
        return Ok(false);
    }
    for offset in offsets {
        let offset = offset as usize;
        if offset + layout.len() > start + filled {
            start = offset;
            filled = read_part(view, start, used, buffer)?;
            if filled < layout.len() {
                return Err(FileError::UsedBeyondEnd { used: used as u64, len: (start + filled) as u64 });
            }
        }
        values.push(layout.value_at(buffer, offset - start));
    }
    Ok(true)
}

/// Reads what is in use from `start` on, as far as it fits; returns how many bytes that are.
fn read_part(view: View<'_>, start: usize, used: usize, buffer: &mut [u8]) -> Result<usize, FileError> {
    let len = PART.min(used.saturating_sub(start)).max(4);
    view.read_up_to(&mut buffer[..len], start as u64).map_err(FileError::Unreadable)
}

fn grow(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
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
        let fault = match walk(bytes, START, Layout::ValueAndTime) {
            Ok(()) => return Ok(Self { bytes, layout: Layout::ValueAndTime }),
            Err(fault) => fault,
        };
        match walk(bytes, START, Layout::Value) {
            Ok(()) => Ok(Self { bytes, layout: Layout::Value }),
            // The layout that got farther is the one that is broken.
            Err(other) => Err(FileError::BadLength { offset: fault.max(other) as u64 }),
        }
    }

    /// Takes a file that had this layout, and of which `known` bytes have been followed already.
    ///
    /// # Errors
    ///
    /// When it has become shorter, or the lengths of what has been added do not lead to the end.
    pub fn grown(bytes: &'a [u8], layout: Layout, known: usize) -> Result<Self, FileError> {
        if bytes.len() < known {
            return Err(FileError::UsedBeyondEnd { used: known as u64, len: bytes.len() as u64 });
        }
        walk(bytes, known.max(START), layout).map_err(|at| FileError::BadLength { offset: at as u64 })?;
        Ok(Self { bytes, layout })
    }

    /// What follows the keys.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How many bytes are in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.bytes.len()
    }

    /// The entries, in the order in which they were created.
    pub fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        self.entries_from(START)
    }

    /// The entries from the offset where one begins, in bytes.
    pub fn entries_from(self, start: usize) -> impl Iterator<Item = Entry<'a>> {
        let mut at = start.max(START);
        std::iter::from_fn(move || {
            let (key_end, offset, next) = bounds(self.bytes, at, self.layout)?;
            let key = &self.bytes[at + 4..key_end];
            at = next;
            let (value, time) = self.value_at(offset);
            Some(Entry { offset: offset as u64, key, value, time })
        })
    }

    /// The value and the time that stand at an offset; zeros beyond the end.
    #[must_use]
    pub fn value_at(&self, offset: usize) -> (f64, f64) {
        self.layout.value_at(self.bytes, offset)
    }
}

/// Where the entry at `at` has the end of its key, its value, and its own end; `None` beyond the last.
fn bounds(bytes: &[u8], at: usize, layout: Layout) -> Option<(usize, usize, usize)> {
    let length = bytes.get(at..at + 4)?;
    let key_len = u32::from_le_bytes(length.try_into().ok()?) as usize;
    // One to eight spaces, so that the value is aligned.
    let padding = 8 - (4 + key_len) % 8;
    let key_end = at + 4 + key_len;
    let value = key_end + padding;
    let end = value + layout.len();
    (end <= bytes.len()).then_some((key_end, value, end))
}

/// Follows the lengths from an entry on; the error is where they lead astray.
fn walk(bytes: &[u8], start: usize, layout: Layout) -> Result<(), usize> {
    let mut at = start;
    while at < bytes.len() {
        at = bounds(bytes, at, layout).ok_or(at)?.2;
    }
    Ok(())
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
                assert_eq!(file.layout(), layout);
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
