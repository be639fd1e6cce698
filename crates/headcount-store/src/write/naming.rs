//! The birth of a file: it appears under its name complete, locked, and never half.
//!
//! It is filled under a temporary name, which begins with a dot so that no reader looks at it, and is
//! renamed when its header is there. Nothing here allocates: a forked child comes this way too.

use std::ffi::CStr;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::process::{ProcessId, now_nanos};

/// A file under its temporary name. Dropped before it is published, it is removed.
pub(super) struct NewFile<'a> {
    directory: &'a OwnedFd,
    file: Option<File>,
    temporary: Name,
    name: Name,
}

impl<'a> NewFile<'a> {
    /// Creates an empty file for `process` in `directory` and locks it.
    pub(super) fn create(directory: &'a OwnedFd, process: ProcessId) -> io::Result<Self> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mut token = token(process, now_nanos());
        loop {
            let temporary = Name::new(format_args!(".{}-{token:016x}.hc.new", process.pid))?;
            let name = Name::new(format_args!("{}-{token:016x}.hc", process.pid))?;
            match openat(directory, temporary.as_c_str(), flags, Mode::from_bits_truncate(0o644)) {
                Ok(file) => {
                    let file = File::from(file);
                    fs2::FileExt::try_lock_exclusive(&file)?;
                    return Ok(Self { directory, file: Some(file), temporary, name });
                }
                Err(Errno::EEXIST) => token = token.wrapping_add(1),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the file, to fill it.
    pub(super) fn take(&mut self) -> io::Result<File> {
        self.file.take().ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Gives the complete file its name.
    pub(super) fn publish(self) -> io::Result<()> {
        let (from, to) = (self.temporary.as_c_str(), self.name.as_c_str());
        match renameat2(self.directory, from, self.directory, to, RenameFlags::RENAME_NOREPLACE) {
            // A file system that does not know the flag; nobody else has our token.
            Err(Errno::EINVAL) => renameat(self.directory, from, self.directory, to)?,
            renamed => renamed?,
        }
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        // After publishing there is nothing of that name; before, a failure is being reported already.
        let _ = unlinkat(self.directory, self.temporary.as_c_str(), UnlinkatFlags::NoRemoveDir);
    }
}

/// Creates a file in memory.
pub(super) fn create_in_memory() -> io::Result<File> {
    Ok(File::from(memfd_create(c"headcount", MFdFlags::MFD_CLOEXEC)?))
}

/// Makes a PID unique: by its namespace, by when the process started and by when the file was created.
fn token(process: ProcessId, created: u64) -> u64 {
    // SplitMix64's finaliser, over the three numbers in turn.
    [process.pid_namespace, process.start_time, created].into_iter().fold(0, |hash: u64, number| {
        let mixed = (hash ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// A file name on the stack.
struct Name {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Name {
    const CAPACITY: usize = 64;

    fn new(name: fmt::Arguments<'_>) -> io::Result<Self> {
        let mut buffer = Self { bytes: [0; Self::CAPACITY], len: 0 };
        buffer.write_fmt(name).map_err(|_| io::ErrorKind::InvalidFilename)?;
        Ok(buffer)
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl fmt::Write for Name {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        // The last byte stays zero.
        let place = self.bytes[..Self::CAPACITY - 1].get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}
