//! A file that is never mapped.

use std::fs::File;
use std::io;

use crate::write::memory;

/// A file that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a>(&'a File);

impl<'a> From<&'a File> for View<'a> {
    fn from(file: &'a File) -> Self {
        Self(file)
    }
}

impl View<'_> {
    pub(crate) fn len(self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    pub(crate) fn copy(self, _: &mut [u8], _: u64) -> bool {
        false
    }

    pub(crate) fn is_whole(self, _: u64) -> bool {
        false
    }

    pub(crate) fn read_up_to(self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        memory::read_up_to(self.0, buffer, offset)
    }
}
