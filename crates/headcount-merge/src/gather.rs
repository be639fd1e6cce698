//! Gathering: a whole directory becomes one result, while processes die and are born.
//!
//! A process that is buried during the gather has its files renamed under the reader. So the directory
//! is listed again until it shows nothing new, and a file is known by its inode, whatever its name has
//! become: none is missed and none counts twice.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;

use headcount_store::directory::{Directory, is_locked};
use headcount_store::metric::{GaugeMode, Kind};

use crate::gauge::{BySeries, Reading};
use crate::index::Sums;
use crate::known::{Known, Scratch};
use crate::labels;
use crate::liveness::Liveness;
use crate::merged::{FileCounts, Lost, Merged, Report, Skipped};
use crate::process::{Life, Process, Processes};
use crate::totals::Totals;

/// Listings after which a gather ends, even if each has shown something new.
const LISTINGS: usize = 16;

/// Merges directories, over and over: the first merge learns what the files describe, every later one
/// reads little but values.
#[derive(Debug, Default)]
pub struct Merger {
    known: Known,
    liveness: Liveness,
    tally: Tally,
    scratch: Scratch,
}

/// What one gather has found so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) totals: Totals,
    pub(crate) readings: Vec<Reading>,
    pub(crate) processes: Processes,
    pub(crate) files: FileCounts,
    pub(crate) lost: Lost,
    pub(crate) alive: Vec<Living>,
    by_series: BySeries,
    skipped: Vec<Skipped>,
}

/// A process that was alive when its file was read.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) file: OsString,
    pub(crate) process: u32,
    /// What it is to be when it is dead.
    pub(crate) dead: Life,
    /// Whether it holds a lock on the file. A peer's live gauges are there for as long as it lives.
    pub(crate) holds_lock: bool,
}

/// A merge in the making: the directory has been read, other values can be added.
#[derive(Debug)]
pub struct Gather<'a> {
    known: &'a mut Known,
    tally: &'a mut Tally,
}

impl Merger {
    /// Merges all files of a directory. One that cannot be read is skipped, and reported beside the result.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be listed.
    pub fn merge(&mut self, directory: &Directory) -> io::Result<Merged<'_>> {
        Ok(self.gather(directory)?.finish())
    }

    /// Reads all files of a directory, so that other values can be added before the merge is finished.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be listed.
    pub fn gather(&mut self, directory: &Directory) -> io::Result<Gather<'_>> {
        self.read(directory)?;
        if self.known.forget_vanished() {
            self.known = Known::default();
            self.read(directory)?;
        }
        Ok(Gather { known: &mut self.known, tally: &mut self.tally })
    }

    fn read(&mut self, directory: &Directory) -> io::Result<()> {
        let Self { known, liveness, tally, scratch } = self;
        tally.clear();
        known.begin();
        liveness.begin();
        let mut seen: HashSet<OsString> = HashSet::new();
        for _ in 0..LISTINGS {
            let new: Vec<_> = directory.list()?.into_iter().filter(|name| !seen.contains(name)).collect();
            if new.is_empty() {
                break;
            }
            for name in &new {
                if let Err(error) = known.read_file(directory, name, liveness, tally, scratch) {
                    tally.skipped.push(Skipped { name: name.clone(), error });
                }
            }
            seen.extend(new);
        }
        tally.part_with_the_dead(directory);
        Ok(())
    }
}

impl Tally {
    /// Looks once more who is alive: whoever has died since, and has perhaps been replaced by a process
    /// that was found later, does not count beside its successor.
    fn part_with_the_dead(&mut self, directory: &Directory) {
        for Living { file, process, dead, holds_lock } in self.alive.drain(..) {
            // A file that is gone under this name has been buried.
            let is_alive = directory.open_file(&file).is_ok_and(|file| !holds_lock || is_locked(&file));
            if !is_alive {
                self.processes.set_life(process, dead);
            }
        }
    }

    /// Begins again, in the same space.
    fn clear(&mut self) {
        self.totals.clear();
        self.readings.clear();
        self.skipped.clear();
        self.alive.clear();
        self.processes = Processes::default();
        self.files = FileCounts::default();
        self.lost = Lost::default();
    }
}

impl<'a> Gather<'a> {
    /// Adds a gauge of the caller's own. Values that are added to one series are summed.
    pub fn add_gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let series = self.intern(name, help, Kind::Gauge, labels);
        let family = self.known.index.series(series).family;
        self.known.index.add_mode(family, GaugeMode::Sum);
        let process = Process { name: String::new(), pid_namespace: 0, life: Life::Alive };
        let process = self.tally.processes.add(process);
        self.tally.readings.push(Reading { series, process, value, time: 0.0 });
    }

    /// Adds a counter of the caller's own. Its name ends in `_total`. It stays, at 0, in later merges
    /// of the same [`Merger`] that do not add it.
    pub fn add_counter(&mut self, name: &str, help: &str, value: u64) {
        let series = self.intern(name, help, Kind::Counter, &[]);
        self.tally.totals.grow(self.known.index.slots());
        if let Sums::One(slot) = self.known.index.series(series).sums {
            self.tally.totals.add_integers(slot, &[value]);
        }
    }

    fn intern(&mut self, name: &str, help: &str, kind: Kind, labels: &[(&str, &str)]) -> u32 {
        let index = &mut self.known.index;
        let family = index.intern_family(name, kind);
        index.add_help(family, help);
        let mut sorted = labels.to_vec();
        sorted.sort_unstable();
        let mut encoded = Vec::new();
        for text in sorted.into_iter().flat_map(|(name, value)| [name, value]) {
            labels::encode(text, &mut encoded);
        }
        index.intern_series(family, &encoded)
    }

    /// Files that were not read.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.tally.skipped
    }

    /// Files that were read.
    #[must_use]
    pub fn files(&self) -> FileCounts {
        self.tally.files
    }

    /// What processes could not record.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.tally.lost
    }

    /// Finishes the merge.
    #[must_use]
    pub fn finish(self) -> Merged<'a> {
        let Self { known, tally } = self;
        let index = &mut known.index;
        index.sort();
        tally.totals.grow(index.slots());
        tally.processes.label_all();
        tally.by_series.fill(&tally.readings, index.series_count());
        let Tally { totals, by_series, processes, files, lost, skipped, .. } = tally;
        let report =
            Report { skipped: std::mem::take(skipped), conflicts: Vec::new(), files: *files, lost: *lost };
        Merged::new(index, totals, by_series, processes, report)
    }
}
