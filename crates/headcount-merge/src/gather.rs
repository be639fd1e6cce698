//! Gathering: a whole directory becomes one result, while processes die and are born.
//!
//! A process that is buried during the gather has its files renamed under the reader. So the directory
//! is listed again until it shows nothing new, and a file is known by its inode, whatever its name has
//! become: none is missed and none counts twice.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, PeerName, is_locked};
use headcount_store::image::Image;
use headcount_store::metric::{GaugeMode, Kind};
use headcount_store::peer::{self, Client, PeerFile};

use crate::gauge::Reading;
use crate::index::{Index, Sums};
use crate::labels;
use crate::merged::{FileCounts, Lost, Merged, Report, Skipped};
use crate::own::Layouts;
use crate::peer::Keys;
use crate::process::{Life, Process, Processes};
use crate::totals::Totals;

/// Listings after which the gather ends, even if each has shown something new.
const LISTINGS: usize = 16;

/// Merges all files of a directory.
///
/// A file that cannot be read is skipped, and reported beside the result.
///
/// # Errors
///
/// When the directory itself cannot be listed.
pub fn merge(directory: &Directory) -> io::Result<Merged> {
    let mut gather = Gather::default();
    gather.read(directory)?;
    Ok(gather.finish())
}

/// What one file is, for as long as it exists.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FileId {
    inode: u64,
    /// Where it is known, it tells a file from a later one with the same inode.
    born: Option<SystemTime>,
}

/// A merge in the making: directories are read, other values are added, and it is finished.
#[derive(Debug, Default)]
pub struct Gather {
    index: Index,
    layouts: Layouts,
    keys: Keys,
    totals: Totals,
    readings: Vec<Reading>,
    processes: Processes,
    read: HashSet<FileId>,
    skipped: Vec<Skipped>,
    files: FileCounts,
    lost: Lost,
    /// Used again for each file.
    image: Image,
    bytes: Vec<u8>,
}

impl Gather {
    /// Reads all files of a directory. One that cannot be read is skipped, and reported.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be listed.
    pub fn read(&mut self, directory: &Directory) -> io::Result<()> {
        let mut seen: HashSet<OsString> = HashSet::new();
        for _ in 0..LISTINGS {
            let new: Vec<_> = directory.list()?.into_iter().filter(|name| !seen.contains(name)).collect();
            if new.is_empty() {
                break;
            }
            for name in &new {
                self.add_file(directory, name);
            }
            seen.extend(new);
        }
        Ok(())
    }

    /// Adds a gauge of the caller's own. Values that are added to one series are summed.
    pub fn add_gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let series = self.intern(name, help, Kind::Gauge, labels);
        let family = self.index.series(series).family;
        self.index.add_mode(family, GaugeMode::Sum);
        let process = Process { name: String::new(), pid_namespace: 0, life: Life::Alive };
        let process = self.processes.add(process);
        self.readings.push(Reading { series, process, value, time: 0.0 });
    }

    /// Adds a counter of the caller's own. Its name ends in `_total`.
    pub fn add_counter(&mut self, name: &str, help: &str, value: u64) {
        let series = self.intern(name, help, Kind::Counter, &[]);
        self.totals.grow(self.index.slots());
        if let Sums::One(slot) = self.index.series(series).sums {
            self.totals.add_integers(slot, &[value]);
        }
    }

    fn intern(&mut self, name: &str, help: &str, kind: Kind, labels: &[(&str, &str)]) -> u32 {
        let family = self.index.intern_family(name, kind);
        self.index.add_help(family, help);
        let mut sorted = labels.to_vec();
        sorted.sort_unstable();
        let mut encoded = Vec::new();
        for text in sorted.into_iter().flat_map(|(name, value)| [name, value]) {
            labels::encode(text, &mut encoded);
        }
        self.index.intern_series(family, &encoded)
    }

    /// Files that were not read so far.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Files that were read so far.
    #[must_use]
    pub fn files(&self) -> FileCounts {
        self.files
    }

    /// What processes could not record.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.lost
    }

    /// Finishes the merge.
    #[must_use]
    pub fn finish(self) -> Merged {
        let Self { index, totals, readings, processes, skipped, files, lost, .. } = self;
        let report = Report { skipped, conflicts: Vec::new(), files, lost };
        Merged::new(index, totals, readings, &processes, report)
    }

    fn add_file(&mut self, directory: &Directory, name: &OsStr) {
        if let Err(error) = self.try_add_file(directory, name) {
            self.skipped.push(Skipped { name: name.to_owned(), error });
        }
    }

    fn try_add_file(&mut self, directory: &Directory, name: &OsStr) -> Result<(), FileError> {
        // What is no text is no name of ours.
        let Some(parsed) = name.to_str().map(FileName::parse).transpose()?.flatten() else { return Ok(()) };
        if matches!(parsed, FileName::Lock | FileName::Unfinished) {
            return Ok(());
        }
        let file = directory.open_file(name)?;
        let metadata = file.metadata().map_err(FileError::Unreadable)?;
        if !self.read.insert(FileId { inode: metadata.ino(), born: metadata.created().ok() }) {
            return Ok(());
        }
        match parsed {
            FileName::Peer(peer) => self.add_peer(&file, &peer),
            // A process that is not buried yet may have died all the same.
            FileName::Process { .. } => self.add_own(&file, is_locked(&file)),
            FileName::Dead { .. } | FileName::Archive { .. } => self.add_own(&file, false),
            FileName::Lock | FileName::Unfinished => Ok(()),
        }
    }

    fn add_own(&mut self, file: &File, alive: bool) -> Result<(), FileError> {
        self.image.read_into(file)?;
        let layout = self.layouts.resolve(&self.image, &mut self.index)?;
        let Some(header) = self.image.header() else { return Ok(()) };
        let process = self.processes.add(Process {
            name: header.process.pid.to_string(),
            pid_namespace: header.process.pid_namespace,
            life: if alive { Life::Alive } else { Life::Dead(header.created) },
        });
        self.files.own += 1;
        self.lost.series += header.lost_series;
        self.lost.updates += header.lost_updates;
        self.totals.grow(self.index.slots());
        self.layouts.apply(layout, &self.image, process, &mut self.totals, &mut self.readings);
        Ok(())
    }

    fn add_peer(&mut self, file: &File, name: &PeerName) -> Result<(), FileError> {
        peer::read(file, &mut self.bytes)?;
        let entries = PeerFile::new(&self.bytes)?;
        let resolved = self.keys.resolve(entries, name.metrics, &mut self.index)?;
        let process = match resolved.client {
            Some(Client::Ruby) => {
                self.files.ruby += 1;
                name.ruby_process().unwrap_or(&name.process)
            }
            _ => {
                self.files.python += 1;
                &name.process
            }
        };
        let life = name.buried.map_or(Life::Alive, Life::Dead);
        let process = self.processes.add(Process { name: process.to_owned(), pid_namespace: 0, life });
        self.totals.grow(self.index.slots());
        resolved.apply(process, &mut self.totals, &mut self.readings);
        Ok(())
    }
}
