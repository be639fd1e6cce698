//! Whether anybody still has a file open for writing, or mapped so: in whatever process of this kernel, whatever
//! namespaces and names these have.
//!
//! The kernel is asked for a lease on the file, which it grants only while nobody could write, and which is
//! given back at once. Whoever opens the file for writing in between waits for that.
//!
//! # Safety
//!
//! One rule: the calls have a descriptor that is open and a number, and no memory.
#![expect(unsafe_code, reason = "leases have no safe interface")]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, TMPFS_MAGIC, XFS_SUPER_MAGIC, fstatfs};

/// Who could write to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Some process.
    Some,
    /// No process of this kernel.
    None,
    /// The kernel does not tell: the file is another user's, or on a file system of which another kernel may
    /// know more.
    Unknown,
}

/// Those that know all writers of a file: no other machine has them, and no other file system lies above.
const LOCAL: [FsType; 4] = [TMPFS_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC];

/// Which signal tells of a lease that is broken; `libc` does not have it.
const F_SETSIG: libc::c_int = 10;

/// Whether a file is on a file system of which this kernel knows all.
pub(crate) fn is_local(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|system| LOCAL.contains(&system.filesystem_type()))
}

/// Who could write to a file that was opened for reading only.
#[must_use]
pub fn writers(file: &File) -> Writers {
    if !is_local(file) {
        return Writers::Unknown;
    }
    let descriptor = file.as_raw_fd();
    // Who opens the file meanwhile is announced by a signal, which would end this process if it were `SIGIO`.
    if let Err(refusal) = tell(descriptor, F_SETSIG, libc::SIGURG) {
        return refusal;
    }
    if let Err(refusal) = tell(descriptor, libc::F_SETLEASE, libc::F_RDLCK) {
        return refusal;
    }
    // Closing the file would end it, too.
    let _ = tell(descriptor, libc::F_SETLEASE, libc::F_UNLCK);
    Writers::None
}

fn tell(descriptor: RawFd, command: libc::c_int, argument: libc::c_int) -> Result<(), Writers> {
    // SAFETY: the caller has borrowed the file for longer than this takes, and these commands take a number.
    if unsafe { libc::fcntl(descriptor, command, argument) } == 0 {
        return Ok(());
    }
    let is_written = std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock;
    Err(if is_written { Writers::Some } else { Writers::Unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_writers_while_it_is_open_and_while_it_is_mapped() {
        let temporary = tempfile::NamedTempFile::new().unwrap();
        let written = temporary.reopen().unwrap();
        written.set_len(4096).unwrap();
        let (file, path) = temporary.into_parts();
        drop(file);
        let read = File::open(&path).unwrap();
        let _another_reader = File::open(&path).unwrap();
        assert_eq!(writers(&read), Writers::Some);
        let mapping = memmap2::MmapRaw::map_raw(&written).unwrap();
        drop(written);
        assert_eq!(writers(&read), Writers::Some);
        drop(mapping);
        assert_eq!(writers(&read), Writers::None);
        // Nothing is left of the lease: this would wait for it.
        drop(File::options().append(true).open(&path).unwrap());
        assert_eq!(writers(&read), Writers::None);
    }

    #[test]
    fn a_file_system_that_has_no_leases_tells_nothing() {
        assert_eq!(writers(&File::open("/proc/self/stat").unwrap()), Writers::Unknown);
    }
}
