//! Everything that this process writes, behind one lock.
//!
//! The lock is taken to create a file, a family or a series, by a thread's first update, and around
//! `fork`; never by an increment. One lock for everything is what makes `fork` safe: who holds it
//! knows that no other thread is in the middle of anything.
//!
//! Summed cells of all files share one range of addresses per thread: files take turns in it, a run of
//! pages at a time, so that one base address per thread is enough for any number of files.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::file::{FileWriter, growth};
use super::memory::{blank_at, map_at, reserve, vacate};
use super::store::OnFork;
use crate::format::exemplar::SLOT_WORDS;
use crate::format::extent::{Content, Extent};
use crate::format::{BLOCK, CELL};

/// Addresses reserved for each thread that adds, in bytes: eight million cells.
const RANGE: u64 = 64 << 20;
const CELLS_PER_BLOCK: u32 = 512;
/// After the disk was full, what asks for slabs and slots waits so long before it asks again.
const RETRY: Duration = Duration::from_secs(1);

static STATE: Mutex<State> = Mutex::new(State::new());

/// A file, and its part of the cells.
#[derive(Debug)]
pub(super) struct StoreState {
    pub(super) writer: FileWriter,
    pub(super) backing: Backing,
    pub(super) on_fork: OnFork,
    cells: CellSpace,
}

/// Where a store's file is.
#[derive(Debug)]
pub(super) enum Backing {
    /// In this directory.
    Directory(OwnedFd),
    /// In memory that only this process sees.
    Memory,
}

/// The summed cells of one store: which of the common range are free, and what they are called in the file.
#[derive(Clone, Copy, Debug, Default)]
struct CellSpace {
    /// The next free cell of the common range.
    next: u32,
    /// Where the store's last run ends.
    end: u32,
    /// What to subtract from a cell's place in the common range to get its number in the file.
    shift: u32,
    /// Length of all runs in blocks.
    blocks: u32,
}

/// A stretch of the common range that belongs to one store.
#[derive(Clone, Copy, Debug)]
struct Run {
    store: usize,
    /// Place and length in the common range, in blocks.
    first: u32,
    blocks: u32,
    /// Place in the file's own cell space, in blocks.
    first_in_file: u32,
}

#[derive(Debug)]
struct SlabState {
    base: NonNull<u8>,
    /// Where each run is in its file, for as many runs as are mapped.
    mapped: Vec<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) stores: Vec<StoreState>,
    runs: Vec<Run>,
    slabs: Vec<SlabState>,
    /// Slabs whose thread has ended, with all that it counted.
    idle: Vec<u32>,
    /// The record of the series that was described last: the next one is encoded in its place.
    pub(super) record: Vec<u8>,
    /// Set while the system has no space for slabs and slots.
    retry_at: Option<Instant>,
}

#[expect(unsafe_code, reason = "addresses of mapped memory are the process's, not a thread's")]
// SAFETY: the addresses in `SlabState` stay mapped until the process ends and are only used to map
// over them, with the lock held; no thread owns what is behind them through this struct.
unsafe impl Send for State {}

impl State {
    const fn new() -> Self {
        Self {
            stores: Vec::new(),
            runs: Vec::new(),
            slabs: Vec::new(),
            idle: Vec::new(),
            record: Vec::new(),
            retry_at: None,
        }
    }

    pub(super) fn lock() -> MutexGuard<'static, Self> {
        STATE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_store(&mut self, writer: FileWriter, backing: Backing, on_fork: OnFork) {
        let cells = CellSpace::default();
        self.stores.push(StoreState { writer, backing, on_fork, cells });
    }

    /// Finds `count` free summed cells of a store that lie side by side, and makes sure that the calling
    /// thread has memory for them. Returns their place in the common range and their number in the file.
    pub(super) fn reserve_summed(&mut self, store: usize, count: u32) -> io::Result<(u32, u32)> {
        let space = self.stores[store].cells;
        if space.end - space.next < count {
            self.add_run(store, count)?;
        }
        let space = self.stores[store].cells;
        let last = space.next.checked_add(count - 1).ok_or(io::ErrorKind::OutOfMemory)?;
        super::slab::extend_own(self, last)?;
        Ok((space.next, space.next - space.shift))
    }

    /// Takes cells that were [reserved](Self::reserve_summed).
    pub(super) fn take_summed(&mut self, store: usize, count: u32) {
        self.stores[store].cells.next += count;
    }

    fn add_run(&mut self, store: usize, count: u32) -> io::Result<()> {
        let first = self.runs.last().map_or(0, |run| run.first + run.blocks);
        let space = &mut self.stores[store].cells;
        // A run right behind the store's last one continues it; otherwise what is left there stays unused.
        let continues = space.blocks > 0 && space.end == first * CELLS_PER_BLOCK;
        let have = if continues { space.end - space.next } else { 0 };
        let blocks = run_length(space.blocks, u64::from(count - have) * CELL);
        if u64::from(first + blocks) * BLOCK > RANGE {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if !continues {
            space.next = first * CELLS_PER_BLOCK;
            space.shift = (first - space.blocks) * CELLS_PER_BLOCK;
        }
        self.runs.push(Run { store, first, blocks, first_in_file: space.blocks });
        space.blocks += blocks;
        space.end = (first + blocks) * CELLS_PER_BLOCK;
        Ok(())
    }

    /// A slab that no thread uses, an old one if there is one. `None` if no more can be had.
    pub(super) fn lease_slab(&mut self) -> Option<u32> {
        if let Some(number) = self.idle.pop() {
            return Some(number);
        }
        let number = u32::try_from(self.slabs.len()).ok().filter(|&number| number <= Extent::MAX_SLAB)?;
        let base = reserve(RANGE).ok()?;
        self.slabs.push(SlabState { base, mapped: Vec::new() });
        Some(number)
    }

    pub(super) fn return_slab(&mut self, number: u32) {
        self.idle.push(number);
    }

    pub(super) fn slab_base(&self, number: u32) -> *mut AtomicU64 {
        self.slabs[number as usize].base.as_ptr().cast()
    }

    /// How many slabs there are, used or idle.
    pub(super) fn slab_count(&self) -> u32 {
        u32::try_from(self.slabs.len()).unwrap_or(u32::MAX)
    }

    /// How many cells of a slab are mapped, from the first on.
    pub(super) fn slab_end(&self, number: u32) -> u32 {
        let last = self.slabs[number as usize].mapped.len().checked_sub(1).map(|last| self.runs[last]);
        last.map_or(0, |run| (run.first + run.blocks) * CELLS_PER_BLOCK)
    }

    /// Maps a slab's memory up to the cell `last`.
    pub(super) fn extend_slab(&mut self, number: u32, last: u32) -> io::Result<()> {
        while self.slab_end(number) <= last {
            let Some(&run) = self.runs.get(self.slabs[number as usize].mapped.len()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let mapped = self.with_space(|state| state.map_run(number, run))?;
            self.slabs[number as usize].mapped.push(mapped);
        }
        Ok(())
    }

    /// Does what takes space, unless there was none a moment ago.
    fn with_space<T>(&mut self, take: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = take(self);
        self.retry_at = taken.is_err().then(|| Instant::now() + RETRY);
        taken
    }

    fn map_run(&mut self, number: u32, run: Run) -> io::Result<u64> {
        let start = self.run_start(number, run);
        let writer = &mut self.stores[run.store].writer;
        if writer.is_abandoned() {
            return blank_at(start, u64::from(run.blocks) * BLOCK).map(|()| 0);
        }
        writer.add_extent(Content::Slab(number), run.first_in_file, run.blocks, |file, extent| {
            map_at(start, extent.len(), file, extent.offset())?;
            Ok(extent.offset())
        })
    }

    fn run_start(&self, number: u32, run: Run) -> NonNull<u8> {
        let offset = usize::try_from(u64::from(run.first) * BLOCK).unwrap_or(usize::MAX);
        // A wrong sum could only come from a run beyond the range, which `add_run` refuses.
        self.slabs[number as usize].base.map_addr(|address| address.saturating_add(offset))
    }

    /// A slot for the exemplars of the cell at this place in the common range, and its number in its file.
    pub(super) fn exemplar_slot(
        &mut self,
        cell: u32,
    ) -> io::Result<(&'static [AtomicU64; SLOT_WORDS as usize], u32)> {
        let run = *self.run_of(cell).ok_or(io::ErrorKind::InvalidInput)?;
        let in_file = cell - run.first * CELLS_PER_BLOCK + run.first_in_file * CELLS_PER_BLOCK;
        let slot = self.with_space(|state| state.stores[run.store].writer.take_exemplar_slot())?;
        Ok((slot, in_file))
    }

    /// Where exemplars are counted that cannot be kept, of the cell at this place in the common range.
    pub(super) fn lost_exemplars(&self, cell: u32) -> Option<&'static AtomicU64> {
        self.run_of(cell).map(|run| self.stores[run.store].writer.lost_exemplars())
    }

    /// Counts an update of a series that could not be created.
    pub(super) fn count_lost(&self, store: u32) {
        if let Some(store) = self.stores.get(store as usize) {
            store.writer.lost_updates().fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an update for which there was no memory.
    pub(super) fn count_lost_at(&self, cell: u32) {
        if let Some(run) = self.run_of(cell) {
            self.stores[run.store].writer.lost_updates().fetch_add(1, Ordering::Relaxed);
        }
    }

    fn run_of(&self, cell: u32) -> Option<&Run> {
        self.runs.iter().find(|run| cell / CELLS_PER_BLOCK < run.first + run.blocks)
    }

    /// In a forked child: maps the slab `kept` to the files that the stores have moved to, and takes the
    /// memory of all others, whose threads are not here.
    pub(super) fn move_slabs(&mut self, kept: Option<u32>) -> io::Result<()> {
        self.idle.clear();
        for (number, slab) in (0..).zip(&mut self.slabs) {
            if Some(number) != kept {
                vacate(slab.base, RANGE)?;
                slab.mapped.clear();
                self.idle.push(number);
            }
        }
        let Some(number) = kept else { return Ok(()) };
        for (&run, &offset) in self.runs.iter().zip(&self.slabs[number as usize].mapped) {
            let start = self.run_start(number, run);
            let len = u64::from(run.blocks) * BLOCK;
            match self.stores[run.store].writer.file() {
                Ok(file) => map_at(start, len, file, offset)?,
                Err(_) => blank_at(start, len)?,
            }
        }
        Ok(())
    }
}

/// How many blocks to add to a store's runs of so many so that `need` bytes fit. Every thread that adds takes all of a
/// run, so that is an eighth of what there is, but four blocks at least: a thread has at most so much for nothing.
/// Readers read an extent for each run, and these stay few: 7 for 10,000 cells, 40 for 500,000, 103 for as many as a
/// thread can have; it would be 6, 12 and 72 if a run were as long as all before it.
fn run_length(blocks: u32, need: u64) -> u32 {
    growth(blocks.min((blocks / 8).max(4)), need)
}

const _: () = assert!(CELLS_PER_BLOCK as u64 * CELL == BLOCK);

#[cfg(test)]
mod tests {
    use super::super::memory::blocks_per_page;
    use super::*;

    #[test]
    fn runs_grow_with_what_a_store_has_and_hold_what_it_needs() {
        let pages = |blocks: u32| blocks.next_multiple_of(blocks_per_page());
        assert_eq!(run_length(0, 8), blocks_per_page());
        assert_eq!(run_length(2, 8), pages(2));
        assert_eq!(run_length(20, 8), pages(4));
        assert_eq!(run_length(800, 8), pages(100));
        assert_eq!(run_length(5000, 8), 256);
        assert_eq!(run_length(1, 10 * BLOCK), pages(10));
    }
}
