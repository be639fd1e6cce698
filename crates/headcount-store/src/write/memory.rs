//! Allocating, mapping, and mapping over: the system calls under the writing side.
//!
//! # Safety
//!
//! One rule: memory that this module maps stays mapped until the process ends, unless it is released by
//! somebody who gave none of its words away. Addresses get other memory of the same length (`*_at`),
//! so a pointer into them never dangles.
#![expect(unsafe_code, reason = "mapping files at chosen addresses is what this module is for")]

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use nix::unistd::{SysconfVar, sysconf};

use crate::format::{BLOCK, CELL};

/// How many blocks a page of this machine has: extents are multiples of it, so that each can be mapped.
pub(super) fn blocks_per_page() -> u32 {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok());
    u32::try_from(page.unwrap_or(BLOCK) / BLOCK).unwrap_or(1).max(1)
}

/// What all files of this process have allocated, in bytes.
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

/// How many bytes this process has allocated for what it writes, in all its files and in private memory.
#[must_use]
pub fn allocated_bytes() -> u64 {
    ALLOCATED.load(Ordering::Relaxed)
}

/// In a forked child, before its files are its own: they have nothing yet.
pub(super) fn forget_allocated() {
    ALLOCATED.store(0, Ordering::Relaxed);
}

/// Makes sure that the bytes exist on disk or in memory, so that touching them cannot raise SIGBUS, and counts them.
pub(super) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    fill_in(file, offset, len)?;
    ALLOCATED.fetch_add(len, Ordering::Relaxed);
    Ok(())
}

fn fill_in(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let (start, length) = (to_off(offset)?, to_off(len)?);
    loop {
        match fallocate(file, FallocateFlags::empty(), start, length) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            // A file system without fallocate: written zeros are allocated too.
            Err(Errno::EOPNOTSUPP) => return write_zeros(file, offset, len),
            Err(error) => return Err(error.into()),
        }
    }
}

fn write_zeros(file: &File, offset: u64, len: u64) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    (0..len / BLOCK).try_for_each(|block| file.write_all_at(&ZEROS, offset + block * BLOCK))
}

fn to_off(value: u64) -> io::Result<i64> {
    i64::try_from(value).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

fn to_len(value: u64) -> io::Result<NonZeroUsize> {
    usize::try_from(value).ok().and_then(NonZeroUsize::new).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// A part of a file, mapped for reading and writing by this process and whoever else has the file.
#[derive(Debug)]
pub(super) struct Mapping {
    memory: ManuallyDrop<MmapRaw>,
    /// Where in the file it begins, in bytes.
    pub(super) offset: u64,
}

impl Mapping {
    /// Maps a part of the file that was [allocated](allocate) before.
    pub(super) fn new(file: &File, offset: u64, len: u64) -> io::Result<Self> {
        let memory = MmapOptions::new().offset(offset).len(to_len(len)?.get()).map_raw(file)?;
        Ok(Self { memory: ManuallyDrop::new(memory), offset })
    }

    /// Unmaps a part of which no word was given away.
    pub(super) fn release(self) {
        drop(ManuallyDrop::into_inner(self.memory));
    }

    /// Copies bytes into the mapping. They must not be published yet: no reader may look at them.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len() as u64);
        assert!(end.is_some_and(|end| end <= self.len()), "{offset} lies outside of a mapping");
        let place = self.at::<u8>(offset).as_ptr();
        // SAFETY: the destination is within the mapping (asserted), and the source is ordinary memory
        // that cannot overlap it; no reference to the destination exists.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.memory.len() as u64
    }

    fn at<T>(&self, offset: u64) -> NonNull<T> {
        let within = offset.checked_add(size_of::<T>() as u64).is_some_and(|end| end <= self.len());
        assert!(
            within && offset.is_multiple_of(align_of::<T>() as u64),
            "{offset} lies outside of a mapping"
        );
        let start = self.memory.as_mut_ptr();
        // SAFETY: `offset` lies within the mapping, which is one allocation of that length.
        let place = unsafe { start.add(usize::try_from(offset).unwrap_or(0)) };
        // SAFETY: a mapping does not begin at address 0.
        unsafe { NonNull::new_unchecked(place.cast()) }
    }

    /// The word at `offset`, which lives as long as the process.
    pub(super) fn u64(&self, offset: u64) -> &'static AtomicU64 {
        // SAFETY: the place is within the mapping and aligned (both asserted by `at`), every bit
        // pattern is a value, and mapped memory stays mapped (the rule of this module).
        unsafe { self.at::<AtomicU64>(offset).as_ref() }
    }

    /// The words from `offset` on, which live as long as the process.
    pub(super) fn u64s(&self, offset: u64, count: u32) -> &'static [AtomicU64] {
        if count == 0 {
            return &[];
        }
        let len = u64::from(count) * CELL;
        assert!(
            offset.checked_add(len).is_some_and(|end| end <= self.len()),
            "{offset} + {len} lie outside of a mapping"
        );
        // SAFETY: the places are within the mapping (asserted) and aligned (asserted by `at`), every bit pattern is
        // a value, words that others write are atomics, and mapped memory stays mapped (the rule of this module).
        unsafe { std::slice::from_raw_parts(self.at::<AtomicU64>(offset).as_ptr(), count as usize) }
    }

    /// The half word at `offset`, which lives as long as the process.
    pub(super) fn u32(&self, offset: u64) -> &'static AtomicU32 {
        // SAFETY: as for `u64`.
        unsafe { self.at::<AtomicU32>(offset).as_ref() }
    }

    /// Puts the same part of another file in this one's place.
    pub(super) fn map_over(&self, file: &File) -> io::Result<()> {
        map_at(self.at(0), self.len(), file, self.offset)
    }

    /// Puts empty memory of this process alone in this one's place.
    pub(super) fn blank(&self) -> io::Result<()> {
        blank_at(self.at(0), self.len())
    }
}

/// Reserves addresses, without any memory behind them.
pub(super) fn reserve(len: u64) -> io::Result<NonNull<u8>> {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
    let start = unsafe { mmap_anonymous(None, to_len(len)?, ProtFlags::PROT_NONE, flags) }?;
    Ok(start.cast())
}

/// Maps a part of a file over addresses that this module reserved or mapped.
pub(super) fn map_at(start: NonNull<u8>, len: u64, file: &File, offset: u64) -> io::Result<()> {
    let address = NonZeroUsize::new(start.as_ptr().expose_provenance());
    let (protection, flags) =
        (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED | MapFlags::MAP_FIXED);
    let (len, offset) = (to_len(len)?, to_off(offset)?);
    // SAFETY: the addresses are this module's own, and what is mapped there stays usable as cells.
    unsafe { mmap(address, len, protection, flags, file.as_fd(), offset) }?;
    Ok(())
}

/// Puts empty memory of this process alone over addresses that this module reserved or mapped.
pub(super) fn blank_at(start: NonNull<u8>, len: u64) -> io::Result<()> {
    cover(start, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)
}

/// Takes the memory behind addresses that this module reserved or mapped, and keeps them reserved.
pub(super) fn vacate(start: NonNull<u8>, len: u64) -> io::Result<()> {
    cover(start, len, ProtFlags::PROT_NONE)
}

fn cover(start: NonNull<u8>, len: u64, protection: ProtFlags) -> io::Result<()> {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
    let (address, len) = (NonZeroUsize::new(start.as_ptr().expose_provenance()), to_len(len)?);
    // SAFETY: the addresses are this module's own, and callers no longer touch what they vacate.
    unsafe { mmap_anonymous(address, len, protection, flags) }?;
    Ok(())
}
