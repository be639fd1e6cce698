//! One file, as its writing process sees it: it grows by extents, and by records in them.
//!
//! Whatever is added is filled in first and published afterwards, by moving the header's count of
//! extents or its mark of published records, with release ordering. Space is allocated before it is
//! mapped, so a full disk is an error here and never a signal later.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::life::{LifeCell, Removed};
use super::memory::{Mapping, allocate, blocks_per_page};
use crate::format::exemplar::{SLOT_LEN, SLOT_WORDS};
use crate::format::extent::{Content, ENTRY_LEN, Extent, FIRST_TABLE_LEN, TABLE_BLOCK_LEN};
use crate::format::header::{self, HEADER_LEN, Header};
use crate::format::record::filler;
use crate::format::{BLOCK, CELL};
use crate::process::{Origin, ProcessId, now_nanos};
use crate::sync::{AtomicU64, Ordering};

/// Extents double up to this many blocks (1 MiB): doubling keeps their number small, the limit the waste.
const MAX_GROWTH: u32 = 256;

/// A contiguous space that grows at its end: the records, the shared cells, or the exemplars.
#[derive(Debug, Default)]
struct Space {
    /// Length in blocks, over all its extents.
    blocks: u32,
    /// What of it is in use, in bytes.
    used: u64,
    /// The last extent, in which there may be room.
    tail: Option<Mapping>,
    /// Earlier tails of which words are in use.
    full: Vec<Mapping>,
}

impl Space {
    /// Where in the tail the next byte goes.
    fn position(&self) -> u64 {
        let tail = self.tail.as_ref().map_or(0, Mapping::len);
        self.used - (u64::from(self.blocks) * BLOCK - tail)
    }

    /// All of it that is mapped, in order.
    fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.full.iter().chain(&self.tail)
    }

    /// Bytes left in the tail.
    fn room(&self) -> u64 {
        u64::from(self.blocks) * BLOCK - self.used
    }
}

/// The file that this process writes.
#[derive(Debug)]
pub(super) struct FileWriter {
    /// `None` once a fork left this process without a file of its own: then nothing is recorded.
    file: Option<File>,
    header: Mapping,
    /// What the header said of the process when the file was created.
    origin: Origin,
    /// Every published extent, in the order of the table.
    extents: Vec<Extent>,
    /// The continuations of the table.
    tables: Vec<Mapping>,
    /// Where the file ends, in blocks.
    end: u32,
    records: Space,
    shared: Space,
    exemplars: Space,
    removed: Removed,
    families: u32,
}

impl FileWriter {
    /// Makes an empty file into one without descriptions.
    pub(super) fn new(file: File, process: ProcessId, origin: Origin) -> io::Result<Self> {
        let first = blocks_per_page();
        let len = u64::from(first) * BLOCK;
        allocate(&file, 0, len)?;
        let header = Mapping::new(&file, 0, len)?;
        header.write(0, &fresh_header(process, origin).encode());
        Ok(Self {
            file: Some(file),
            header,
            origin,
            extents: Vec::new(),
            tables: Vec::new(),
            end: first,
            records: Space::default(),
            shared: Space::default(),
            exemplars: Space::default(),
            removed: Removed::default(),
            families: 0,
        })
    }

    pub(super) fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Whether nothing that is written is recorded any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.file.is_none()
    }

    /// Counts series that could not be created.
    pub(super) fn lost_series(&self) -> &'static AtomicU64 {
        self.header.u64(header::LOST_SERIES as u64)
    }

    /// Counts updates that could not be recorded.
    pub(super) fn lost_updates(&self) -> &'static AtomicU64 {
        self.header.u64(header::LOST_UPDATES as u64)
    }

    /// Counts exemplars that could not be kept.
    pub(super) fn lost_exemplars(&self) -> &'static AtomicU64 {
        self.header.u64(header::LOST_EXEMPLARS as u64)
    }

    /// Adds an extent for `content`, `blocks` long (a multiple of the page): allocates it, has `map` map
    /// it, and publishes it.
    pub(super) fn add_extent<M>(
        &mut self,
        content: Content,
        first: u32,
        blocks: u32,
        map: impl FnOnce(&File, &Extent) -> io::Result<M>,
    ) -> io::Result<M> {
        self.ensure_table_room()?;
        let (extent, mapped) = self.place(content, first, blocks, map)?;
        self.publish(extent);
        Ok(mapped)
    }

    /// The last free entry of the table is for its own continuation.
    fn ensure_table_room(&mut self) -> io::Result<()> {
        if self.extents.len() + 1 == self.table_len() {
            let (table, mapping) = self.place(Content::Table, 0, blocks_per_page(), map_extent)?;
            self.publish(table);
            self.tables.push(mapping);
        }
        Ok(())
    }

    fn place<M>(
        &mut self,
        content: Content,
        first: u32,
        blocks: u32,
        map: impl FnOnce(&File, &Extent) -> io::Result<M>,
    ) -> io::Result<(Extent, M)> {
        let extent = Extent { content, first, blocks, at: self.end };
        let end = self.end.checked_add(blocks).ok_or(io::ErrorKind::FileTooLarge)?;
        let file = self.file()?;
        allocate(file, extent.offset(), extent.len())?;
        let mapped = map(file, &extent)?;
        self.end = end;
        Ok((extent, mapped))
    }

    fn table_len(&self) -> usize {
        FIRST_TABLE_LEN + self.tables.len() * TABLE_BLOCK_LEN * blocks_per_page() as usize
    }

    fn publish(&mut self, extent: Extent) {
        let index = self.extents.len();
        let (table, at) = match index.checked_sub(FIRST_TABLE_LEN) {
            None => (&self.header, HEADER_LEN + index * ENTRY_LEN),
            Some(beyond) => {
                let per_table = TABLE_BLOCK_LEN * blocks_per_page() as usize;
                (&self.tables[beyond / per_table], beyond % per_table * ENTRY_LEN)
            }
        };
        for (word, at) in extent.encode().into_iter().zip([at, at + 8]) {
            table.u64(at as u64).store(word, Ordering::Relaxed);
        }
        self.extents.push(extent);
        let count = u32::try_from(self.extents.len()).unwrap_or(u32::MAX);
        self.header.u32(header::EXTENT_COUNT as u64).store(count, Ordering::Release);
    }

    /// Appends an encoded record of a family; its number is the return value.
    pub(super) fn append_family(&mut self, record: &[u8]) -> io::Result<u32> {
        self.append(record)?;
        self.families += 1;
        Ok(self.families - 1)
    }

    /// Appends an encoded record and publishes it.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let len = record.len() as u64;
        if self.records.room() < len {
            let first = self.records.blocks;
            let blocks = growth(first, len);
            let mapping = self.add_extent(Content::Records, first, blocks, map_extent)?;
            let filler_len = self.records.room();
            if let Some(full) = self.records.tail.take() {
                if filler_len > 0 {
                    full.write(full.len() - filler_len, &filler(filler_len));
                }
                full.release();
            }
            self.records.used += filler_len;
            self.records.blocks += blocks;
            self.records.tail = Some(mapping);
        }
        let position = self.records.position();
        if let Some(tail) = &self.records.tail {
            tail.write(position, record);
        }
        self.records.used += len;
        self.header.u64(header::RECORDS_USED as u64).store(self.records.used, Ordering::Release);
        Ok(())
    }

    /// Makes room for `count` shared cells that lie side by side, without taking them.
    pub(super) fn reserve_shared(&mut self, count: u32) -> io::Result<()> {
        self.make_room(Content::Shared, u64::from(count) * CELL, |file| &mut file.shared)
    }

    fn make_room(
        &mut self,
        content: Content,
        len: u64,
        space: fn(&mut Self) -> &mut Space,
    ) -> io::Result<()> {
        if space(self).room() < len {
            let first = space(self).blocks;
            let blocks = growth(first, len);
            let mapping = self.add_extent(content, first, blocks, map_extent)?;
            let space = space(self);
            // What is left over in the last extent stays unused: cells of one series lie side by side.
            space.used += space.room();
            space.blocks += blocks;
            space.full.extend(space.tail.replace(mapping));
        }
        Ok(())
    }

    /// The number of the next shared cell, and where it is. Room for it was [made](Self::reserve_shared).
    pub(super) fn next_shared(&self) -> Option<(u32, &Mapping, u64)> {
        let index = u32::try_from(self.shared.used / CELL).ok()?;
        self.shared.tail.as_ref().map(|tail| (index, tail, self.shared.position()))
    }

    /// Takes the next `count` shared cells.
    pub(super) fn take_shared(&mut self, count: u32) {
        self.shared.used += u64::from(count) * CELL;
    }

    /// Marks a series as removed, or as there again.
    pub(super) fn set_removed(&mut self, life: LifeCell, is_removed: bool) {
        if !is_removed {
            self.removed.restore(life);
        } else if let Some(cell) = self.life_cell(life) {
            self.removed.remove(life, cell);
        }
    }

    /// Where a life cell is; `None` for none.
    fn life_cell(&self, life: LifeCell) -> Option<&'static AtomicU64> {
        let mut at = life.offset()?;
        for mapping in self.shared.mappings() {
            if at < mapping.len() {
                return Some(mapping.u64(at));
            }
            at -= mapping.len();
        }
        None
    }

    /// Takes the next slot for an exemplar.
    pub(super) fn take_exemplar_slot(&mut self) -> io::Result<&'static [AtomicU64; SLOT_WORDS as usize]> {
        self.make_room(Content::Exemplars, SLOT_LEN as u64, |file| &mut file.exemplars)?;
        let Space { tail: Some(tail), .. } = &self.exemplars else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        let slot = tail.u64s(self.exemplars.position(), SLOT_WORDS);
        self.exemplars.used += SLOT_LEN as u64;
        slot.try_into().map_err(io::Error::other)
    }

    /// In a forked child: moves to `new`, a file with the same descriptions, zeroed cells, blank exemplars, and
    /// of the slabs only `slab`. Addresses stay what they were.
    ///
    /// After an error the file is unusable and must be [abandoned](Self::abandon).
    pub(super) fn move_to(&mut self, new: File, process: ProcessId, slab: Option<u32>) -> io::Result<()> {
        let keep = |extent: &Extent| match extent.content {
            Content::Records | Content::Shared | Content::Exemplars => true,
            Content::Slab(number) => slab == Some(number),
            Content::Table | Content::Sources | Content::Ignorable => false,
        };
        allocate(&new, 0, self.header.len())?;
        for extent in self.extents.iter().filter(|extent| keep(extent)) {
            allocate(&new, extent.offset(), extent.len())?;
        }
        self.copy_records(&new)?;
        self.header.map_over(&new)?;
        self.mappings().try_for_each(|mapping| mapping.map_over(&new))?;
        self.removed.mark_anew();
        // This closes the parent's file, and with it the child's share in its lock.
        self.file = Some(new);
        self.header.write(0, &fresh_header(process, self.origin).encode());
        let kept: Vec<Extent> = self.extents.drain(..).filter(keep).collect();
        self.tables.drain(..).for_each(Mapping::release);
        for extent in kept {
            self.ensure_table_room()?;
            self.publish(extent);
        }
        self.header.u64(header::RECORDS_USED as u64).store(self.records.used, Ordering::Release);
        Ok(())
    }

    fn copy_records(&self, new: &File) -> io::Result<()> {
        let old = self.file()?;
        let mut buffer = [0; 16 * 1024];
        for extent in self.extents.iter().filter(|extent| extent.content == Content::Records) {
            let used = self.records.used.saturating_sub(u64::from(extent.first) * BLOCK).min(extent.len());
            let mut done = 0;
            while done < used {
                let part = usize::try_from(used - done).unwrap_or(usize::MAX).min(buffer.len());
                old.read_exact_at(&mut buffer[..part], extent.offset() + done)?;
                new.write_all_at(&buffer[..part], extent.offset() + done)?;
                done += part as u64;
            }
        }
        Ok(())
    }

    /// In a forked child that gets no file of its own: what it writes goes nowhere from here on.
    pub(super) fn abandon(&mut self) -> io::Result<()> {
        self.file = None;
        self.header.blank()?;
        self.mappings().chain(&self.tables).try_for_each(Mapping::blank)
    }

    fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        [&self.records, &self.shared, &self.exemplars].into_iter().flat_map(Space::mappings)
    }
}

fn map_extent(file: &File, extent: &Extent) -> io::Result<Mapping> {
    Mapping::new(file, extent.offset(), extent.len())
}

fn fresh_header(process: ProcessId, origin: Origin) -> Header {
    Header {
        process,
        origin,
        created: now_nanos(),
        extent_count: 0,
        records_used: 0,
        lost_series: 0,
        lost_updates: 0,
        lost_exemplars: 0,
        folded: 0,
    }
}

/// How many blocks to add to a space of `blocks` so that `need` bytes fit: as many again, within limits.
pub(super) fn growth(blocks: u32, need: u64) -> u32 {
    let need = u32::try_from(need.div_ceil(BLOCK)).unwrap_or(u32::MAX / 2);
    blocks.min(MAX_GROWTH).max(need).next_multiple_of(blocks_per_page())
}
