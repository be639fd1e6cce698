//! All that a file holds at one moment.

use std::fs::File;

use super::{Cells, Reach, Reader};
use crate::error::FileError;
use crate::format::header::Header;
use crate::format::record::{Record, Records};

/// The contents of a file.
#[derive(Debug)]
pub struct Image {
    header: Header,
    records: Vec<u8>,
    cells: Cells,
}

impl Image {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not what it should be.
    pub fn read(file: &File) -> Result<Self, FileError> {
        let reader = Reader::open(file)?;
        let (mut records, mut cells) = (Vec::new(), Cells::default());
        reader.read_records(&mut records)?;
        reader.read_cells(&mut cells, &Reach::ALL)?;
        Ok(Self { header: *reader.header(), records, cells })
    }

    /// What the header said.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The published descriptions.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.records)
    }

    /// The cells.
    #[must_use]
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Whether the process has counted and set nothing at all, whatever it has created and removed.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let Header { lost_series, lost_updates, lost_exemplars, .. } = self.header;
        let life = |record| match record {
            Ok(Record::Series { life, .. }) => life,
            _ => None,
        };
        let lives = self.records().filter_map(life).collect();
        [lost_series, lost_updates, lost_exemplars] == [0; 3] && self.cells.are_blank_but_for(&lives)
    }
}
