//! Reading a part of a file that may be shorter than expected.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Fills as much of `buffer` as the file has from `offset` on, and tells how much that was.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
