//! The way in: a process's file, the families and series it describes, and their cells.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::file::FileWriter;
use super::fork;
use super::life::{self, LifeCell};
use super::naming::{NewFile, create_in_memory};
use super::slab::SumCells;
use super::state::{Backing, State};
use super::table::{NewTable, TableCells};
use crate::error::FileError;
use crate::format::CELL;
use crate::format::family::Family;
use crate::format::record::{TooLong, encode_series};
use crate::format::table::Table;
use crate::process::{Origin, ProcessId};
use crate::read::Image;

/// What becomes of a store when the process forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFork {
    /// The child goes on with a file of its own: same families and series, counts from zero.
    Follow,
    /// The child has nothing to record (it is about to exec): what it writes goes nowhere.
    Leave,
}

/// A file that this process writes. A small number; the file lives as long as the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store(u16);

/// A file for this process's metrics could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is no such directory, or it is something else.
    #[error("{} cannot be opened as a directory: start under `headcount run`, or create it", path.display())]
    Directory {
        /// The directory as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory takes no file: no space, no permission, read-only.
    #[error("no file can be created in {}", path.display())]
    File {
        /// The directory as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no memory.
    #[error("no memory for private metrics")]
    Memory(#[source] io::Error),
    /// More stores than a process can have.
    #[error("a process can have 65,535 stores")]
    TooMany,
}

/// A family or series could not be added.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// The directory's file system is full, or an address space or memory limit is reached.
    #[error("no space for another series")]
    NoSpace(#[source] io::Error),
    /// The names and texts are too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl Store {
    /// A store that does not exist, for the cells of metrics that have none. Nothing can be added to it.
    #[must_use]
    pub fn nowhere() -> Self {
        Self(u16::MAX)
    }

    /// The cells of a series that could not be added: their updates are counted as lost.
    #[must_use]
    pub fn lost_cells(self) -> SumCells {
        SumCells::lost(self.0)
    }

    /// The same, of a native histogram.
    #[must_use]
    pub fn lost_table(self) -> TableCells {
        TableCells::lost(self.0)
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A series that has been described.
struct Summed {
    cells: SumCells,
    life: LifeCell,
    /// Of its table, if it has one.
    keys: &'static [AtomicU64],
}

/// The right to add families and series, one thread at a time.
///
/// It is held while `fork` runs, so a thread that keeps its own tables consistent under a `Registration`
/// finds them consistent in a forked child.
#[derive(Debug)]
pub struct Registration(MutexGuard<'static, State>);

impl Registration {
    /// Waits for the right. Never call it while holding one.
    #[must_use]
    pub fn begin() -> Self {
        Self(State::lock())
    }

    pub(super) fn state(&self) -> &State {
        &self.0
    }

    pub(super) fn writer(&mut self, store: Store) -> &mut FileWriter {
        &mut self.0.stores[store.index()].writer
    }

    /// Creates this process's file in `directory`.
    ///
    /// The file appears under its name complete and locked; the lock is held as long as the process
    /// lives and has not replaced itself by `exec`.
    ///
    /// # Errors
    ///
    /// When the directory does not exist or takes no file.
    pub fn create_store(
        &mut self,
        directory: &Path,
        origin: Origin,
        on_fork: OnFork,
    ) -> Result<Store, CreateError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let opened = open(directory, flags, Mode::empty())
            .map_err(|error| CreateError::Directory { path: directory.to_owned(), source: error.into() })?;
        let process = ProcessId::own();
        let created = NewFile::create(&opened, process).and_then(|mut new| {
            let writer = FileWriter::new(new.take()?, process, origin)?;
            new.publish()?;
            Ok(writer)
        });
        let writer = created.map_err(|source| CreateError::File { path: directory.to_owned(), source })?;
        self.add_store(writer, Backing::Directory(opened), on_fork)
    }

    /// Creates a store in memory that no other process sees.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn create_private_store(&mut self, on_fork: OnFork) -> Result<Store, CreateError> {
        let writer = create_in_memory()
            .and_then(|file| FileWriter::new(file, ProcessId::own(), Origin::default()))
            .map_err(CreateError::Memory)?;
        self.add_store(writer, Backing::Memory, on_fork)
    }

    fn add_store(
        &mut self,
        writer: FileWriter,
        backing: Backing,
        on_fork: OnFork,
    ) -> Result<Store, CreateError> {
        fork::install();
        let number = u16::try_from(self.0.stores.len()).map_err(|_| CreateError::TooMany)?;
        if Store(number) == Store::nowhere() {
            return Err(CreateError::TooMany);
        }
        self.0.add_store(writer, backing, on_fork);
        Ok(Store(number))
    }

    /// Describes a family; the number is the one to create its series with.
    ///
    /// # Errors
    ///
    /// When there is no space for it.
    pub fn add_family(&mut self, store: Store, family: &Family<'_>) -> Result<u32, SpaceError> {
        let mut record = Vec::new();
        family.encode(&mut record)?;
        self.writer(store).append_family(&record).map_err(SpaceError::NoSpace)
    }

    /// Appends the record of a series to a store's descriptions.
    pub(super) fn describe(
        &mut self,
        store: Store,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), TooLong>,
    ) -> Result<(), SpaceError> {
        let State { stores, record, .. } = &mut *self.0;
        record.clear();
        encode(record)?;
        stores[store.index()].writer.append(record).map_err(SpaceError::NoSpace)
    }

    /// Describes a series with `count` summed cells, which is there from now on.
    ///
    /// # Errors
    ///
    /// When there is no space for it; the loss is counted in the file.
    pub fn add_summed(
        &mut self,
        store: Store,
        family: u32,
        values: &[&str],
        count: u32,
    ) -> Result<(SumCells, LifeCell), SpaceError> {
        let added = self.try_add_summed(store, family, values, count, None);
        self.count_if_lost(store, added.map(|Summed { cells, life, .. }| (cells, life)))
    }

    /// Describes the series of a native histogram, which is there from now on. It has `count` summed cells before
    /// those of the table's places.
    ///
    /// # Errors
    ///
    /// When there is no space for it; the loss is counted in the file.
    pub fn add_table(
        &mut self,
        store: Store,
        family: u32,
        values: &[&str],
        count: u32,
        table: NewTable,
    ) -> Result<(TableCells, LifeCell), SpaceError> {
        let added = self.try_add_summed(store, family, values, count + table.places, Some(table));
        let table = |Summed { cells, life, keys }| (TableCells::at(keys, cells, count), life);
        self.count_if_lost(store, added.map(table))
    }

    fn try_add_summed(
        &mut self,
        store: Store,
        family: u32,
        values: &[&str],
        count: u32,
        table: Option<NewTable>,
    ) -> Result<Summed, SpaceError> {
        let (first, in_file) = self.0.reserve_summed(store.index(), count).map_err(SpaceError::NoSpace)?;
        let places = table.map_or(0, |table| table.places);
        let known = table.and_then(|table| table.life);
        let shared = places + u32::from(known.is_none());
        let writer = self.writer(store);
        writer.reserve_shared(shared).map_err(SpaceError::NoSpace)?;
        let life = match known {
            Some(life) => life,
            None => LifeCell::at(begin_life(writer)?),
        };
        let (number, tail, at) = writer.next_shared().ok_or_else(no_number)?;
        let before = shared - places;
        let keys = tail.u64s(at + u64::from(before) * CELL, places);
        let described =
            |NewTable { schema, places, .. }| Table { first_key: number + before, places, schema };
        let table = table.map(described);
        self.describe(store, |record| encode_series(family, in_file, life.number(), table, values, record))?;
        self.writer(store).take_shared(shared);
        self.0.take_summed(store.index(), count);
        Ok(Summed { cells: SumCells::at(first), life, keys })
    }

    /// Marks a series as removed, or as there again. What it counts, it goes on counting.
    pub fn set_removed(&mut self, store: Store, life: LifeCell, is_removed: bool) {
        if let Some(store) = self.0.stores.get_mut(store.index()) {
            store.writer.set_removed(life, is_removed);
        }
    }

    /// Describes a series without cells, which is there from now on.
    ///
    /// # Errors
    ///
    /// When there is no space for it; the loss is counted in the file.
    pub fn add_info(&mut self, store: Store, family: u32, values: &[&str]) -> Result<LifeCell, SpaceError> {
        let added = self.try_add_info(store, family, values);
        self.count_if_lost(store, added)
    }

    fn try_add_info(&mut self, store: Store, family: u32, values: &[&str]) -> Result<LifeCell, SpaceError> {
        let life = begin_life(self.writer(store))?;
        self.describe(store, |record| encode_series(family, 0, Some(life), None, values, record))?;
        self.writer(store).take_shared(1);
        Ok(LifeCell::at(life))
    }

    /// What all threads of this process together have added to the first of these cells, an `f64`.
    #[must_use]
    pub fn sum_f64(&self, cells: SumCells) -> f64 {
        cells.sum_f64(&self.0)
    }

    pub(super) fn count_if_lost<C>(
        &self,
        store: Store,
        added: Result<C, SpaceError>,
    ) -> Result<C, SpaceError> {
        if added.is_err() {
            self.count_lost_series(store);
        }
        added
    }

    /// Counts a series that could not be created, where the merge finds it.
    pub fn count_lost_series(&self, store: Store) {
        self.0.stores[store.index()].writer.lost_series().fetch_add(1, Ordering::Relaxed);
    }

    /// Opens this process's own file once more, for reading. It shares no lock with the one that is written.
    ///
    /// # Errors
    ///
    /// When a fork left this process without a file, or the system refuses.
    pub fn open(&self, store: Store) -> io::Result<File> {
        let file = self.0.stores[store.index()].writer.file()?;
        File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// Reads this process's own file, as another process would.
    ///
    /// # Errors
    ///
    /// When a fork left this process without a file, or the file was damaged from outside.
    pub fn image(&self, store: Store) -> Result<Image, FileError> {
        let file = self.0.stores[store.index()].writer.file().map_err(FileError::Unreadable)?;
        Image::read(file)
    }
}

/// The number of a life cell for a series that is about to be described, which then takes it.
fn begin_life(writer: &mut FileWriter) -> Result<u32, SpaceError> {
    writer.reserve_shared(1).map_err(SpaceError::NoSpace)?;
    let (number, tail, at) = writer.next_shared().ok_or_else(no_number)?;
    life::begin(tail.u64(at));
    Ok(number)
}

/// Cells are numbered by 32 bits.
pub(super) fn no_number() -> SpaceError {
    SpaceError::NoSpace(io::ErrorKind::OutOfMemory.into())
}
