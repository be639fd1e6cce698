//! An archive as bytes: what many dead processes have recorded, in the format of one process's file.
//!
//! Descriptions stand in the order in which they are added, each family once. Summed cells are in slab 0.
//! A sum of floats is kept as two, the second being what the first is off by, in slab 1: so that adding
//! up the dead before the living changes no digit of the whole.

use std::collections::HashMap;

use super::BLOCK;
use super::exemplar::Exemplar;
use super::extent::{Content, ENTRY_LEN, Extent};
use super::family::Family;
use super::folded::FoldedProcess;
use super::header::{HEADER_LEN, Header};
use super::record::{TooLong, encode_series};
use super::source::{self, Source};
use super::table::Table;
use crate::cell::Life;
use crate::exponential::{Key, Schema};

/// A summed cell, and what it is off by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Summed {
    /// An integer, which is exact.
    Integer(u64),
    /// The nearest float to the sum, and the rest.
    Float(f64, f64),
}

/// An archive in the making.
#[derive(Debug, Default)]
pub struct ArchiveBuilder {
    records: Vec<u8>,
    /// The families so far, by the bytes of their records.
    families: HashMap<Vec<u8>, u32>,
    processes: u16,
    sums: Vec<u64>,
    rests: Vec<u64>,
    shared: Vec<u64>,
    exemplars: Vec<u8>,
}

impl ArchiveBuilder {
    /// Describes a family, unless the very same is there already; returns its number.
    ///
    /// # Errors
    ///
    /// When names, texts and bounds are too long.
    pub fn family(&mut self, family: &Family<'_>) -> Result<u32, TooLong> {
        let mut record = Vec::new();
        family.encode(&mut record)?;
        let next = u32::try_from(self.families.len()).unwrap_or(u32::MAX);
        let records = &mut self.records;
        Ok(*self.families.entry(record).or_insert_with_key(|record| {
            records.extend(record);
            next
        }))
    }

    /// Describes a process; returns its number.
    ///
    /// # Errors
    ///
    /// When its name is too long.
    pub fn process(&mut self, process: &FoldedProcess<'_>) -> Result<u16, TooLong> {
        process.encode(&mut self.records)?;
        self.processes += 1;
        Ok(self.processes - 1)
    }

    /// Adds a series of summed cells, and since when it is; returns the number of the first.
    ///
    /// # Errors
    ///
    /// When its label values are too long.
    pub fn summed(
        &mut self,
        family: u32,
        values: &[&str],
        cells: &[Summed],
        life: Life,
    ) -> Result<u32, TooLong> {
        self.push(family, values, None, cells, life)
    }

    /// Adds a series of summed cells that has a table with these keys; returns the number of the first cell. The last
    /// cells are those of its places, one for each key.
    ///
    /// # Errors
    ///
    /// When its label values are too long.
    pub fn table(
        &mut self,
        family: u32,
        values: &[&str],
        (schema, keys): (Schema, &[Key]),
        cells: &[Summed],
        life: Life,
    ) -> Result<u32, TooLong> {
        // Behind the life cell.
        let table = Table { first_key: number(self.shared.len() + 1), places: number(keys.len()), schema };
        let first = self.push(family, values, Some(table), cells, life)?;
        self.shared.extend(keys.iter().map(|key| key.encode()));
        Ok(first)
    }

    fn push(
        &mut self,
        family: u32,
        values: &[&str],
        table: Option<Table>,
        cells: &[Summed],
        life: Life,
    ) -> Result<u32, TooLong> {
        let (first, life_cell) = (number(self.sums.len()), number(self.shared.len()));
        encode_series(family, first, Some(life_cell), table, values, &mut self.records)?;
        self.shared.push(life.encode());
        for cell in cells {
            let (sum, rest) = match *cell {
                Summed::Integer(sum) => (sum, 0),
                Summed::Float(sum, rest) => (sum.to_bits(), rest.to_bits()),
            };
            self.sums.push(sum);
            self.rests.push(rest);
        }
        Ok(first)
    }

    /// Adds an exemplar of a summed cell.
    pub fn exemplar(&mut self, exemplar: &Exemplar) {
        self.exemplars.extend(exemplar.encode());
    }

    /// Adds a series of shared cells.
    ///
    /// # Errors
    ///
    /// When its label values are too long.
    pub fn shared(&mut self, family: u32, values: &[&str], cells: &[u64]) -> Result<(), TooLong> {
        encode_series(family, number(self.shared.len()), None, None, values, &mut self.records)?;
        self.shared.extend(cells);
        Ok(())
    }

    /// The bytes of the archive. What the header says of extents and descriptions is filled in.
    #[must_use]
    pub fn encode(&self, header: &Header, sources: &[Source]) -> Vec<u8> {
        let cells = |cells: &[u64]| cells.iter().flat_map(|cell| cell.to_le_bytes()).collect::<Vec<_>>();
        let has_rests = self.rests.iter().any(|&rest| rest != 0);
        let parts = [
            (Content::Sources, source::encode(sources)),
            (Content::Records, self.records.clone()),
            (Content::Shared, cells(&self.shared)),
            (Content::Slab(0), cells(&self.sums)),
            (Content::Slab(1), cells(if has_rests { &self.rests } else { &[] })),
            (Content::Exemplars, self.exemplars.clone()),
        ];
        let mut bytes = vec![0; to_usize(BLOCK)];
        let mut table = Vec::new();
        for (content, part) in parts.iter().filter(|(_, part)| !part.is_empty()) {
            let at = number(bytes.len() / to_usize(BLOCK));
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(to_usize(BLOCK)), 0);
            let blocks = number(bytes.len() / to_usize(BLOCK)) - at;
            let extent = Extent { content: *content, first: 0, blocks, at };
            table.extend(extent.encode().into_iter().flat_map(u64::to_le_bytes));
        }
        let header = Header {
            extent_count: number(table.len() / ENTRY_LEN),
            records_used: self.records.len() as u64,
            ..*header
        };
        bytes[..HEADER_LEN].copy_from_slice(&header.encode());
        bytes[HEADER_LEN..HEADER_LEN + table.len()].copy_from_slice(&table);
        bytes
    }
}

/// Blocks and cells are numbered by 32 bits: 16 TiB fit no machine's memory.
fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::format::family::Shape;
    use crate::format::folded::Folded;
    use crate::metric::GaugeMode;
    use crate::process::{Origin, ProcessId};
    use crate::read::{Image, Reader};

    fn archive() -> (Vec<u8>, Vec<Source>) {
        let mut archive = ArchiveBuilder::default();
        let process = FoldedProcess { name: "12", pid_namespace: 1, order: 2, buried: 3 };
        let process = archive.process(&process).unwrap();
        let family = |shape| Family { name: "f", help: "", unit: "", shape, labels: vec!["l"] };
        let counter = family(Shape::Folded(Folded::NamedCounter));
        let number = archive.family(&counter).unwrap();
        assert_eq!(archive.family(&counter).unwrap(), number, "each family once");
        archive
            .summed(number, &["x"], &[Summed::Float(1.5, 1e-20)], Life { created: 11, is_removed: true })
            .unwrap();
        let mode = GaugeMode::Min;
        let number = archive.family(&family(Shape::Folded(Folded::GaugeOf { mode, process }))).unwrap();
        archive.shared(number, &["x"], &[!7]).unwrap();
        let number = archive.family(&family(Shape::Folded(Folded::Summary))).unwrap();
        archive
            .summed(number, &["x"], &[Summed::Float(2.5, 0.0), Summed::Integer(9)], Life::default())
            .unwrap();
        let header = Header {
            process: ProcessId::default(),
            origin: Origin::default(),
            created: 5,
            extent_count: 0,
            records_used: 0,
            lost_series: 6,
            lost_updates: 7,
            lost_exemplars: 9,
            folded: 8,
        };
        let sources = vec![Source { name: "dead-0.hc".into(), identity: 4 }];
        (archive.encode(&header, &sources), sources)
    }

    /// The offsets are those of `docs/file-format.md`, written out once more.
    #[test]
    fn an_archive_has_the_bytes_that_the_byte_map_says() {
        let (bytes, _) = archive();
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!([8, 12, 16, 20, 64].map(u32_at), [2, 256, 0, u32::MAX, 5]);
        assert_eq!([32, 40, 48, 80, 88, 96, 104].map(u64_at), [0, 0, 5, 6, 7, 8, 9]);
        assert_eq!([256, 272, 288, 304, 320].map(|at| bytes[at]), [5, 2, 3, 4, 4]);
        assert_eq!((bytes.len(), u32_at(320) >> 8), (6 * 4096, 1), "slab 1 has the rests");
        let sources = b"\x09\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0dead-0.hc\0\0\0\0\0\0\0\0";
        assert_eq!(bytes[4096..][..sources.len()], *sources);
        let mut records = Vec::new();
        records.extend(b"\x1e\0\0\0\x03\0\0\0");
        records.extend([1_u64, 2, 3].into_iter().flat_map(u64::to_le_bytes));
        records.extend(b"\x02\0\0\x0012\0\0");
        // Shape 6, one label, no bounds, no process.
        records.extend(b"\x1a\0\0\0\x01\0\0\0\x06\0\x01\0\0\0\0\0\x01\0\0\0f\0\0\0\0\0\0\0\0\x01\0\0\0l");
        records.resize(records.len().next_multiple_of(8), 0);
        assert_eq!(bytes[2 * 4096..][..records.len()], records);
        let cells =
            |block: usize, count| (0..count).map(|at| u64_at(block * 4096 + at * 8)).collect::<Vec<_>>();
        assert_eq!(cells(3, 3), [1 << 63 | 11, !7, 0]);
        assert_eq!(cells(4, 4), [1.5_f64.to_bits(), 2.5_f64.to_bits(), 9, 0]);
        assert_eq!(cells(5, 4), [1e-20_f64.to_bits(), 0, 0, 0]);
    }

    #[test]
    fn an_archive_is_read_as_any_file_is() {
        let (bytes, sources) = archive();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        assert_eq!(Reader::open(&file).unwrap().read_sources().unwrap(), sources);
        let image = Image::read(&file).unwrap();
        assert_eq!(image.records().collect::<Result<Vec<_>, _>>().unwrap().len(), 7);
        assert_eq!((image.cells().sum(2), image.cells().shared(1), image.header().folded), (9, !7, 8));
    }
}
