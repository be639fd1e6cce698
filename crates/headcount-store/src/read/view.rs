//! A file, and what of it is mapped: reading it gives the same either way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Mapped;

/// A file that is read through its mapping, as far as there is one.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    file: &'a File,
    mapped: Option<&'a Mapped>,
    /// Whether it is known that the file is no shorter than when it was mapped.
    is_as_long: bool,
}

impl<'a> From<&'a File> for View<'a> {
    fn from(file: &'a File) -> Self {
        Self::new(file, None)
    }
}

impl<'a> View<'a> {
    /// A file, and its mapping.
    #[must_use]
    pub fn new(file: &'a File, mapped: Option<&'a Mapped>) -> Self {
        Self { file, mapped, is_as_long: false }
    }

    /// The same of a file of which it is known that it is no shorter than when it was mapped: that need not be asked.
    #[must_use]
    pub fn known_to_be_as_long(self) -> Self {
        Self { is_as_long: true, ..self }
    }

    /// The file.
    #[must_use]
    pub fn file(self) -> &'a File {
        self.file
    }

    /// What of it is mapped.
    #[must_use]
    pub fn mapped(self) -> Option<&'a Mapped> {
        self.mapped
    }

    /// Whether all that has been loaded from its mapping up to now was in the file, if that was nothing behind `end`.
    #[must_use]
    pub fn is_whole(self, end: u64) -> bool {
        let is_known = |mapped: &Mapped| self.is_as_long && end <= mapped.end() as u64 && !mapped.is_cut();
        self.mapped.is_some_and(|mapped| is_known(mapped) || mapped.is_whole(self.file, end))
    }

    /// Fills `buffer` with what is mapped from `offset` on; `false` if that is not all mapped. It counts only if the view
    /// [is whole](Self::is_whole) so far afterwards.
    pub(crate) fn copy(self, buffer: &mut [u8], offset: u64) -> bool {
        let offset = usize::try_from(offset);
        self.mapped.zip(offset.ok()).is_some_and(|(mapped, offset)| mapped.copy(offset, buffer))
    }

    /// Its length in bytes.
    pub(crate) fn len(self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Fills as much of `buffer` as the file has from `offset` on, and tells how much that was.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read_up_to(self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.copy(buffer, offset) && self.is_whole(offset + buffer.len() as u64) {
            return Ok(buffer.len());
        }
        // It has grown beyond what is mapped, or there is less of it: then the system says how much.
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
