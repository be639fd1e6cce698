//! What one of our files holds at one moment, copied and checked.
//!
//! The file belongs to another process, which goes on writing, and nothing in it is trusted: every
//! offset and length is checked against the file before it is followed. It is read, not mapped: a file
//! that is truncated meanwhile gives a short read and not a signal. What was published before the read
//! began is in the image; what is published later may be.

use std::collections::BTreeMap;
use std::fs::File;

use crate::error::FileError;
use crate::format::extent::{Content, ENTRY_LEN, Extent, FIRST_TABLE_LEN};
use crate::format::header::{HEADER_LEN, Header};
use crate::format::record::Records;
use crate::format::{BLOCK, CELL};
use crate::read_at::read_up_to;

/// The contents of a file. Its buffers are used again by [`read_into`](Self::read_into).
#[derive(Debug, Default)]
pub struct Image {
    header: Option<Header>,
    records: Vec<u8>,
    shared: Vec<u64>,
    slabs: BTreeMap<u32, Vec<u64>>,
    scratch: Vec<u8>,
}

impl Image {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not what it should be.
    pub fn read(file: &File) -> Result<Self, FileError> {
        let mut image = Self::default();
        image.read_into(file)?;
        Ok(image)
    }

    /// Reads a file in place of the one that this image held.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not what it should be; the image is then empty.
    pub fn read_into(&mut self, file: &File) -> Result<(), FileError> {
        self.header = None;
        self.records.clear();
        self.shared.clear();
        self.slabs.values_mut().for_each(Vec::clear);
        let file_len = file.metadata().map_err(FileError::Unreadable)?.len();
        let mut block = [0; 4096];
        let len = read_up_to(file, &mut block, 0).map_err(FileError::Unreadable)?;
        let header = Header::decode(&block[..len], file_len)?;
        // The table is read after the mark, so that it lists every extent that the mark reaches into.
        read_exact(file, &mut block, 0, file_len)?;
        let extents = read_table(file, &block, header.extent_count, file_len)?;
        self.read_contents(file, &extents, header.records_used, file_len)?;
        self.header = Some(header);
        Ok(())
    }

    fn read_contents(
        &mut self,
        file: &File,
        extents: &[Extent],
        used: u64,
        len: u64,
    ) -> Result<(), FileError> {
        for (index, extent) in (0..).zip(extents) {
            let misplaced = FileError::BadExtent { index };
            match extent.content {
                Content::Table | Content::Ignorable => {}
                Content::Records => {
                    let at = u64::from(extent.first) * BLOCK;
                    // An extent that was published after the mark was read has nothing yet.
                    let part = extent.len().min(used.saturating_sub(at));
                    let have = self.records.len();
                    if part > 0 && have as u64 != at {
                        return Err(misplaced);
                    }
                    self.records.resize(have + to_usize(part), 0);
                    read_exact(file, &mut self.records[have..], extent.offset(), len)?;
                }
                Content::Shared => {
                    read_cells(file, extent, &mut self.shared, &mut self.scratch, misplaced, len)?
                }
                Content::Slab(number) => {
                    let slab = self.slabs.entry(number).or_default();
                    read_cells(file, extent, slab, &mut self.scratch, misplaced, len)?;
                }
            }
        }
        if (self.records.len() as u64) < used {
            return Err(FileError::UsedBeyondEnd { used, len });
        }
        Ok(())
    }

    /// What the header said; `None` if nothing has been read.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The published descriptions, undecoded.
    #[must_use]
    pub fn record_bytes(&self) -> &[u8] {
        &self.records
    }

    /// The published descriptions.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.records)
    }

    /// The shared cells.
    #[must_use]
    pub fn shared(&self) -> &[u64] {
        &self.shared
    }

    /// The slabs; a cell beyond the end of one is zero.
    pub fn slabs(&self) -> impl Iterator<Item = &[u64]> {
        self.slabs.values().filter(|slab| !slab.is_empty()).map(Vec::as_slice)
    }

    /// The sum over all slabs of an integer cell.
    #[must_use]
    pub fn sum(&self, cell: usize) -> u64 {
        self.slabs().filter_map(|slab| slab.get(cell)).fold(0, |sum, &cell| sum.wrapping_add(cell))
    }

    /// The sum over all slabs of a float cell.
    #[must_use]
    pub fn sum_f64(&self, cell: usize) -> f64 {
        self.slabs().filter_map(|slab| slab.get(cell)).map(|&cell| f64::from_bits(cell)).sum()
    }

    /// Whether the process has counted and set nothing at all.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let lost = self.header.as_ref().is_some_and(|header| header.lost_series + header.lost_updates > 0);
        let touched = |cells: &[u64]| cells.iter().any(|&cell| cell != 0);
        !lost && !touched(&self.shared) && !self.slabs().any(touched)
    }
}

fn read_table(file: &File, first_block: &[u8], count: u32, len: u64) -> Result<Vec<Extent>, FileError> {
    let mut table = first_block[HEADER_LEN..].to_vec();
    let mut extents: Vec<Extent> = Vec::new();
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
            read_exact(file, &mut table[continued..], extent.offset(), len)?;
        }
        extents.push(extent);
    }
    debug_assert!(FIRST_TABLE_LEN * ENTRY_LEN <= table.len(), "the first block holds its part");
    Ok(extents)
}

fn read_cells(
    file: &File,
    extent: &Extent,
    cells: &mut Vec<u64>,
    scratch: &mut Vec<u8>,
    misplaced: FileError,
    file_len: u64,
) -> Result<(), FileError> {
    if cells.len() as u64 * CELL != u64::from(extent.first) * BLOCK {
        return Err(misplaced);
    }
    scratch.resize(to_usize(extent.len()), 0);
    read_exact(file, scratch, extent.offset(), file_len)?;
    cells.extend(scratch.chunks_exact(8).map(|cell| crate::format::u64_at(cell, 0)));
    Ok(())
}

/// A short read means that the file was truncated after its length was taken.
fn read_exact(file: &File, buffer: &mut [u8], offset: u64, file_len: u64) -> Result<(), FileError> {
    let read = read_up_to(file, buffer, offset).map_err(FileError::Unreadable)?;
    if read < buffer.len() {
        return Err(FileError::UsedBeyondEnd { used: offset + buffer.len() as u64, len: file_len });
    }
    Ok(())
}

/// Lengths here are bounded by a file's length; on a machine of 32 bits a larger one fails to allocate.
fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
