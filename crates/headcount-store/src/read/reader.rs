//! Reading a file part by part.

use std::ops::Range;

use super::{Cells, Reach, View};
use crate::error::FileError;
use crate::format::exemplar::{SLOT_LEN, Slot};
use crate::format::extent::{Content, ENTRY_LEN, Extent, FIRST_TABLE_LEN};
use crate::format::header::{HEADER_LEN, Header};
use crate::format::source::{self, Source};
use crate::format::{BLOCK, CELL};

/// A file whose header and extents have been read.
#[derive(Debug)]
pub struct Reader<'a> {
    view: View<'a>,
    outline: Outline,
    is_as_known: bool,
}

/// What the header and the table of extents of a file say: of one that has not grown since, it need not be read again.
#[derive(Clone, Debug)]
pub struct Outline {
    header: Header,
    extents: Box<[Extent]>,
}

/// How often slots of exemplars are read once more because they were being written, in one file.
const LOOKS: u32 = 64;

impl<'a> Reader<'a> {
    /// Reads the header and the table of extents.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not what it should be.
    pub fn open(file: impl Into<View<'a>>) -> Result<Self, FileError> {
        let view = file.into();
        let mut block = [0; 4096];
        // A block that is not filled is all that there is of the file.
        let filled = view.read_up_to(&mut block, 0).map_err(FileError::Unreadable)?;
        let header = Header::decode(&block[..filled], filled as u64)?;
        // The table after the mark, and the length after the table: so the table lists every extent that the
        // mark reaches into, and the file is as long as the table says.
        let filled = view.read_up_to(&mut block, 0).map_err(FileError::Unreadable)?;
        let count = Header::decode(&block[..filled], filled as u64)?.extent_count;
        let len = view.len().map_err(FileError::Unreadable)?;
        let outline = Outline { header, extents: Box::default() };
        let mut reader = Self { view, outline, is_as_known: false };
        let table = block[HEADER_LEN..][..FIRST_TABLE_LEN * ENTRY_LEN].to_vec();
        reader.outline = Outline { extents: reader.read_table(table, count, len)?, header };
        Ok(reader)
    }

    /// Reads the header, and the table of extents only if the file has grown since this was found.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_again(file: impl Into<View<'a>>, outline: Outline) -> Result<Self, FileError> {
        let view = file.into();
        let mut block = [0; HEADER_LEN];
        let is_there = view.copy(&mut block, 0)
            || (view.read_up_to(&mut block, 0).is_ok_and(|filled| filled == block.len())
                && view.len().is_ok_and(|len| len >= outline.end()));
        match Header::decode(&block, BLOCK) {
            // The table lists every extent that the mark reaches into: it did when the mark was found there.
            Ok(header) if is_there && header.is_as_long_as(&outline.header) => {
                Ok(Self { view, outline: Outline { header, ..outline }, is_as_known: true })
            }
            _ => Self::open(view),
        }
    }

    /// Whether the file has not grown since its outline was found.
    #[must_use]
    pub fn is_as_known(&self) -> bool {
        self.is_as_known
    }

    /// What the header and the table said.
    #[must_use]
    pub fn into_outline(self) -> Outline {
        self.outline
    }

    fn read_table(&self, mut table: Vec<u8>, count: u32, len: u64) -> Result<Box<[Extent]>, FileError> {
        let mut extents = Vec::new();
        let mut blocks: u64 = 0;
        for index in 0..count {
            let at = index as usize * ENTRY_LEN;
            let bad = || FileError::BadExtent { index };
            let extent = table.get(at..at + ENTRY_LEN).and_then(Extent::decode).ok_or_else(bad)?;
            blocks += u64::from(extent.blocks);
            let end = extent.offset() + extent.len();
            if end > len {
                return Err(FileError::UsedBeyondEnd { used: end, len });
            }
            // Extents do not overlap, so together they are no longer than the file: that ends this loop.
            if blocks * BLOCK > len || extent.is_empty() {
                return Err(bad());
            }
            if extent.content == Content::Table {
                let continued = table.len();
                table.resize(continued + to_usize(extent.len()), 0);
                self.read_exact(&mut table[continued..], extent.offset())?;
            }
            extents.push(extent);
        }
        Ok(extents.into())
    }

    /// What the header said.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.outline.header
    }

    /// Where the published descriptions stand: offset in the file and length, in bytes, in order.
    fn record_parts(&self) -> Result<Vec<(u64, u64)>, FileError> {
        let used = self.outline.header.records_used;
        let mut parts = Vec::new();
        let mut covered = 0;
        for (index, extent) in (0..).zip(&self.outline.extents) {
            if extent.content != Content::Records {
                continue;
            }
            let first = u64::from(extent.first) * BLOCK;
            // An extent that was published after the mark was read has nothing yet.
            let part = extent.len().min(used.saturating_sub(first));
            if part > 0 && covered != first {
                return Err(FileError::BadExtent { index });
            }
            covered += part;
            parts.push((extent.offset(), part));
        }
        if covered < used {
            return Err(self.ends_before(used));
        }
        Ok(parts)
    }

    /// Reads the published descriptions, in place of what `records` held.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or ends before they do.
    pub fn read_records(&self, records: &mut Vec<u8>) -> Result<(), FileError> {
        records.clear();
        for (offset, len) in self.record_parts()? {
            let start = records.len();
            records.resize(start + to_usize(len), 0);
            self.read_exact(&mut records[start..], offset)?;
        }
        Ok(())
    }

    /// Reads the cells, in place of what `cells` held, as far as they reach. What they hold of keys means nothing, unless
    /// these reach [everywhere](Reach::ALL).
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or an extent does not continue the one before it.
    pub fn read_cells(&self, cells: &mut Cells, reach: &Reach) -> Result<(), FileError> {
        let copy = |buffer: &mut [u8], offset| match self.view.copy(buffer, offset) {
            true => Ok(()),
            false => Err(self.ends_before(offset)),
        };
        // All of it, and then whether it was there. What was not, or has failed, is read.
        let end = self.outline.end();
        match self.fill(cells, (reach, true), copy) {
            Ok(()) if self.view.is_whole(end) => Ok(()),
            // Whatever is missing, were it what nobody has described: such a file is refused when it is first read, too.
            _ if self.view.len().map_err(FileError::Unreadable)? < end => Err(self.ends_before(end)),
            // A call for each part would take longer than all of it.
            _ => self.fill(cells, (reach, false), |buffer, offset| self.read_exact(buffer, offset)),
        }
    }

    /// Fills in the cells part by part.
    fn fill(
        &self,
        cells: &mut Cells,
        (reach, leaves_out): (&Reach, bool),
        read: impl Fn(&mut [u8], u64) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        cells.clear();
        let mut looks = LOOKS;
        for (index, extent) in (0..).zip(&self.outline.extents) {
            let (space, end) = match extent.content {
                Content::Shared => (&mut cells.shared, u64::from(reach.shared) * CELL),
                Content::Slab(number) => {
                    (cells.slabs.entry(number).or_default(), u64::from(reach.summed) * CELL)
                }
                Content::Exemplars => (&mut cells.exemplars, u64::MAX),
                Content::Table | Content::Records | Content::Sources | Content::Ignorable => continue,
            };
            let first = u64::from(extent.first) * BLOCK;
            let len = extent.len().min(end.saturating_sub(first));
            if len == 0 {
                continue;
            }
            if space.len() as u64 != first {
                return Err(FileError::BadExtent { index });
            }
            let bytes = space.grow(to_usize(len));
            if leaves_out && extent.content == Content::Shared {
                for part in reach.without_keys(cells_between(first, len)) {
                    let [start, end] = [part.start, part.end].map(|cell| u64::from(cell) * CELL - first);
                    read(&mut bytes[to_usize(start)..to_usize(end)], extent.offset() + start)?;
                }
                continue;
            }
            read(bytes, extent.offset())?;
            if extent.content == Content::Exemplars {
                look_again(&read, bytes, extent.offset(), &mut looks)?;
            }
        }
        Ok(())
    }

    /// Some shared cells, read by themselves. What cannot be read is zero.
    #[must_use]
    pub fn read_shared(&self, cells: Range<u32>) -> Vec<u64> {
        let mut bytes = vec![0; cells.len() * to_usize(CELL)];
        for extent in self.outline.extents.iter().filter(|extent| extent.content == Content::Shared) {
            let first = u64::from(extent.first) * BLOCK;
            let there = cells_between(first, extent.len());
            let part = cells.start.max(there.start)..cells.end.min(there.end);
            if !part.is_empty() {
                let at = |cell: u32| to_usize(u64::from(cell - cells.start) * CELL);
                let buffer = &mut bytes[at(part.start)..at(part.end)];
                if self.read_exact(buffer, extent.offset() + u64::from(part.start) * CELL - first).is_err() {
                    buffer.fill(0);
                }
            }
        }
        let (cells, _) = bytes.as_chunks();
        cells.iter().map(|&cell| u64::from_le_bytes(cell)).collect()
    }

    /// The files that an archive stands for; none, for a process's own file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the list is malformed.
    pub fn read_sources(&self) -> Result<Vec<Source>, FileError> {
        let mut bytes = Vec::new();
        for extent in self.outline.extents.iter().filter(|extent| extent.content == Content::Sources) {
            let start = bytes.len();
            bytes.resize(start + to_usize(extent.len()), 0);
            self.read_exact(&mut bytes[start..], extent.offset())?;
        }
        source::decode(&bytes)
    }

    /// A short read means that the file was truncated after its length was taken.
    fn read_exact(&self, buffer: &mut [u8], offset: u64) -> Result<(), FileError> {
        let read = self.view.read_up_to(buffer, offset).map_err(FileError::Unreadable)?;
        if read < buffer.len() {
            return Err(self.ends_before(offset + buffer.len() as u64));
        }
        Ok(())
    }

    fn ends_before(&self, used: u64) -> FileError {
        FileError::UsedBeyondEnd { used, len: self.view.len().unwrap_or(0) }
    }
}

impl Outline {
    /// Where the last extent ends, in bytes.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.extents.iter().map(|extent| extent.offset() + extent.len()).max().unwrap_or(BLOCK)
    }
}

/// Reads slots once more that were being written, until they are whole; blanks them if that takes too long.
fn look_again(
    read: impl Fn(&mut [u8], u64) -> Result<(), FileError>,
    slots: &mut [u8],
    offset: u64,
    looks: &mut u32,
) -> Result<(), FileError> {
    for (slot, at) in slots.chunks_exact_mut(SLOT_LEN).zip((offset..).step_by(SLOT_LEN)) {
        while Slot::of(slot) == Slot::Torn {
            if *looks == 0 {
                slot.fill(0);
            } else {
                *looks -= 1;
                read(slot, at)?;
            }
        }
    }
    Ok(())
}

/// The cells of these bytes.
fn cells_between(first: u64, len: u64) -> Range<u32> {
    let [start, end] = [first, first + len].map(|at| u32::try_from(at / CELL).unwrap_or(u32::MAX));
    start..end
}

/// Lengths here are bounded by a file's length.
fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use crate::error::FileError;
    use crate::format::family::{Family, Shape};
    use crate::process::Origin;
    use crate::read::Image;
    use crate::write::{OnFork, Registration};

    /// A file with several extents of each content.
    fn file_bytes() -> &'static [u8] {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        BYTES.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let mut registration = Registration::begin();
            let store =
                registration.create_store(directory.path(), Origin::default(), OnFork::Leave).unwrap();
            let shape = Shape::Gauge(crate::metric::GaugeMode::MostRecent);
            let gauges = Family { name: "g", help: "", unit: "", shape, labels: vec!["l"] };
            let shape = Shape::Histogram { bounds: vec![1.0, 2.0] };
            let histograms = Family { name: "h", shape, ..gauges.clone() };
            let gauges = registration.add_family(store, &gauges).unwrap();
            let histograms = registration.add_family(store, &histograms).unwrap();
            for n in 0..300_u32 {
                let label = format!("{n}{}", "x".repeat(100));
                registration.add_gauge(store, gauges, &[&label]).unwrap().set(1.0);
                registration.add_summed(store, histograms, &[&label], 4).unwrap().0.observe(1, 1, 0.5);
            }
            let name = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
            std::fs::read(name.path()).unwrap()
        })
    }

    fn read_image(bytes: &[u8]) -> Result<(), FileError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let image = Image::read(&file)?;
        for record in image.records() {
            record?;
        }
        Ok(())
    }

    #[test]
    fn what_is_missing_at_the_end_is_missed() {
        let bytes = file_bytes();
        read_image(bytes).unwrap();
        for len in [bytes.len() - 1, bytes.len() / 2, 4096] {
            assert_eq!(read_image(&bytes[..len]).unwrap_err().reason(), "used_beyond_end", "{len}");
        }
    }

    proptest! {
        #[test]
        fn no_damage_makes_the_reader_panic(
            damage in prop::collection::vec((0..6000_usize, any::<u8>()), 1..8),
            far in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            len in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = file_bytes().to_vec();
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            for (at, byte) in far {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(len) = len {
                bytes.truncate(len.index(bytes.len()));
            }
            let _ = read_image(&bytes);
        }
    }
}
