//! Gathering: a whole directory becomes one result, while processes die and are born.
//!
//! A process that is buried during the gather has its files renamed under the reader. So the directory
//! is listed again until it shows nothing new, and a file is known by its inode, whatever its name has
//! become: none is missed and none counts twice. While the directory's times stay the same, it shows nothing new, and
//! need not be listed at all.
//!
//! Dead processes' files may be folded at the same time: an archive appears, and then the files that it
//! stands for go. Archives are read first, and what they stand for is passed over. One that appears later,
//! or a dead process's file that goes, says that what was read belongs to two states of the directory:
//! then the gather begins again.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;

use headcount_store::directory::Directory;
use headcount_store::metric::{GaugeMode, Kind};

use crate::ahead::{Buffers, FILES};
use crate::files::Found;
use crate::gauge::{GaugeRun, Gauges};
use crate::index::Sums;
use crate::known::{Known, Scratch};
use crate::labels;
use crate::liveness::{Judge, Liveness};
use crate::lives::{LifeParts, MergedLives};
use crate::merged::{Merged, Parts};
use crate::process::{Life, Process};
use crate::reading::ByGauge;
use crate::report::{FileCounts, Lost, Report, Skipped};
use crate::roster::{Roster, batches};
use crate::tally::{Tally, WasFolded};

/// Listings after which a gather ends, even if each has shown something new.
const LISTINGS: usize = 16;
/// Beginnings after which a gather fails: there is a pause between any two folds.
const ATTEMPTS: usize = 64;

/// Merges directories, over and over: the first merge learns what the files describe, every later one
/// reads little but values.
#[derive(Debug, Default)]
pub struct Merger {
    roster: Roster,
    known: Known,
    judge: Judge,
    tally: Tally,
    merged: MergedGauges,
    scratch: Scratch,
}

/// What gauges and lives have come to. The space is used again for each gather.
#[derive(Debug, Default)]
struct MergedGauges {
    gauges: Gauges,
    readings: ByGauge,
    lives: MergedLives,
}

/// A merge in the making: the directory has been read, other values can be added.
#[derive(Debug)]
pub struct Gather<'a> {
    known: &'a mut Known,
    tally: &'a mut Tally,
    merged: &'a mut MergedGauges,
}

impl Merger {
    /// Merges with a judgement of which peers' processes live. The default is [`Liveness::Hook`].
    #[must_use]
    pub fn new(liveness: Liveness) -> Self {
        Self { judge: Judge::new(liveness), ..Self::default() }
    }

    /// Keeps files open and mapped from one gather to the next, up to a quarter of the process's descriptors, lists the
    /// directory only when that has changed, and watches it if it has many files: for whoever gathers often.
    ///
    /// It is not the default because it concerns the whole process: a handler of `SIGBUS` is installed, which goes on to
    /// what was there before, for files that are truncated while they are mapped. An application that installs one of its
    /// own later, or whose threads block the signal, loses nothing: files are then read again. And what is deleted takes
    /// its space until the next gather, or until [`close_deleted`](Self::close_deleted).
    #[must_use]
    pub fn keeping_files_open(mut self) -> Self {
        self.known.files.stay_open();
        self
    }

    /// Closes files that [stay open](Self::keeping_files_open) and have been deleted since: for whoever does not know when
    /// the next gather will be. It costs next to nothing while the directory does not change.
    pub fn close_deleted(&mut self, directory: &Directory) {
        if !self.roster.is_current(directory) {
            self.known.files.close_deleted();
        }
    }

    /// Merges all files of a directory. One that cannot be read is skipped, and reported beside the result.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be listed, or is never left in peace.
    pub fn merge(&mut self, directory: &Directory) -> io::Result<Merged<'_>> {
        Ok(self.gather(directory)?.finish())
    }

    /// Reads all files of a directory, so that other values can be added before the merge is finished.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be listed, or is never left in peace.
    pub fn gather(&mut self, directory: &Directory) -> io::Result<Gather<'_>> {
        self.judge.begin();
        self.gather_by(|merger| merger.read(directory))
    }

    /// Merges what one process alone records, which lives: the file may be of no directory, as that in this process's
    /// own memory is. Merge nothing else with the same merger.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn merge_process(&mut self, file: &File) -> io::Result<Merged<'_>> {
        Ok(self.gather_by(|merger| merger.read_process(file))?.finish())
    }

    /// Reads, and all of it once more if something that was known is described no more.
    fn gather_by(&mut self, read: impl Fn(&mut Self) -> io::Result<()>) -> io::Result<Gather<'_>> {
        read(self)?;
        if self.known.forget_vanished() {
            self.known.forget();
            read(self)?;
        }
        let Self { known, tally, merged, .. } = self;
        Ok(Gather { known, tally, merged })
    }

    fn read_process(&mut self, file: &File) -> io::Result<()> {
        self.tally.clear();
        self.known.begin(None);
        let file = file.try_clone()?;
        self.known.read_process(file, &mut self.tally, &mut self.scratch).map_err(io::Error::other)
    }

    fn read(&mut self, directory: &Directory) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            match self.read_undisturbed(directory)? {
                Undisturbed::No => {}
                Undisturbed::But => {
                    self.tally.part_with_the_dead(directory);
                    return Ok(());
                }
                Undisturbed::Wholly => return Ok(()),
            }
        }
        Err(io::Error::other("files are folded faster than they can be read"))
    }

    /// Reads all files.
    fn read_undisturbed(&mut self, directory: &Directory) -> io::Result<Undisturbed> {
        let Self { roster, known, judge, tally, scratch, .. } = self;
        tally.clear();
        known.begin(Some(directory));
        let mut seen: HashSet<OsString> = HashSet::new();
        let (mut has_changed, mut buffers) = (false, Buffers::default());
        for listing in 0..LISTINGS {
            let is_current = roster.is_current(directory);
            if is_current && listing > 0 {
                break;
            }
            if !is_current {
                let last = std::mem::replace(roster, Roster::list(directory)?);
                if listing > 0 {
                    has_changed = true;
                    seen.extend(last.into_names());
                }
            }
            let new = roster.but_for(&seen);
            let (archives, others) = new.split_at(new.partition_point(|entry| entry.is_archive()));
            tally.has_graves = roster.may_have_sources(&new);
            if listing == 0 {
                match known.read_archives(directory, archives, tally) {
                    Ok(archives) => tally.inherit(archives, &mut known.index),
                    Err(WasFolded) => return Ok(Undisturbed::No),
                }
            } else if !archives.is_empty() {
                return Ok(Undisturbed::No);
            }
            if new.is_empty() {
                break;
            }
            for entries in batches(others, FILES) {
                let files: Vec<_> =
                    entries.iter().map(|&entry| (entry, known.files.open(directory, entry))).collect();
                let ahead = known.read_ahead(&files, &mut buffers);
                for ((entry, inode), ahead) in files.into_iter().zip(ahead) {
                    let read = inode.and_then(|inode| {
                        let found = Found { name: entry.parsed()?, inode };
                        let read = known.read_file(found, ahead, judge, tally, scratch);
                        known.files.let_go(inode, read.is_ok());
                        read
                    });
                    if let Err(WasFolded) = read.or_else(|error| tally.skip(entry, error)) {
                        return Ok(Undisturbed::No);
                    }
                }
            }
        }
        if has_changed {
            return Ok(Undisturbed::But);
        }
        if !tally.has_passed_over && tally.skipped.is_empty() {
            roster.note_no_sources();
        }
        Ok(Undisturbed::Wholly)
    }
}

/// Whether a directory was left in peace while it was read.
#[derive(Clone, Copy, Debug)]
enum Undisturbed {
    /// What was read belongs to two states of it.
    No,
    /// It has changed, or that cannot be told; nothing was folded.
    But,
    /// All names were what they are from before the first file was read until after the last one. So whoever is in a
    /// directory now was in it at the beginning, and who lived when that was asked did not yet have a successor.
    Wholly,
}

impl<'a> Gather<'a> {
    /// Adds a gauge of the caller's own. Values that are added to one series are summed.
    pub fn add_gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let series = self.intern(name, help, Kind::Gauge, labels);
        let family = self.known.index.series(series).family;
        self.known.index.add_mode(family, GaugeMode::Sum);
        let process = Process { name: "".into(), pid_namespace: 0, life: Life::Alive, buried: 0 };
        let process = self.tally.processes.add(process);
        if let Sums::Gauge(first) = self.known.index.series(series).sums {
            let start = self.tally.gauges.add_values([(value, 0.0)].into_iter());
            let (len, stride, has_time, only) = (1, 2, false, None);
            self.tally.gauges.add_run(GaugeRun {
                process,
                family,
                first,
                len,
                start,
                stride,
                has_time,
                only,
            });
        }
    }

    /// Adds a counter of the caller's own. Its name ends in `_total`. It stays, at 0, in later merges
    /// of the same [`Merger`] that do not add it.
    pub fn add_counter(&mut self, name: &str, help: &str, value: u64) {
        let series = self.intern(name, help, Kind::Counter, &[]);
        self.tally.totals.grow(self.known.index.slots());
        if let Sums::One(slot) = self.known.index.series(series).sums {
            self.tally.totals.add_integers(slot, [value]);
        }
    }

    /// Adds a counter of the caller's own that counts in fractions. Otherwise like [`Self::add_counter`].
    pub fn add_float_counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let series = self.intern(name, help, Kind::Counter, labels);
        self.tally.totals.grow(self.known.index.slots());
        if let Sums::One(slot) = self.known.index.series(series).sums {
            self.tally.totals.add_float(slot, value);
        }
    }

    fn intern(&mut self, name: &str, help: &str, kind: Kind, labels: &[(&str, &str)]) -> u32 {
        let mut sorted = labels.to_vec();
        sorted.sort_unstable();
        let mut encoded = Vec::new();
        for text in sorted.into_iter().flat_map(|(name, value)| [name, value]) {
            labels::encode(text, &mut encoded);
        }
        self.known.add_series(name, help, kind, &encoded)
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

    /// How many series the files have, those of different processes merged.
    #[must_use]
    pub fn series(&self) -> usize {
        self.known.series()
    }

    /// Whether a file that was read has a process's own name, and nobody holds it: the process is gone, and nobody has
    /// buried it.
    #[must_use]
    pub fn has_abandoned(&self) -> bool {
        self.tally.has_abandoned
    }

    /// What processes could not record.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.tally.lost
    }

    /// Finishes the merge.
    #[must_use]
    pub fn finish(self) -> Merged<'a> {
        let Self { known, tally, merged: MergedGauges { gauges, readings, lives: merged } } = self;
        let Known { index, rendering, .. } = known;
        index.sort();
        tally.totals.grow(index.slots());
        tally.processes.label_all();
        let Tally {
            totals, natives, gauges: cells, lives, exemplars, processes, files, lost, skipped, ..
        } = tally;
        let (index, series) = (&*index, index.series_count());
        merged.fill(lives.hidden(series, cells, processes), lives, series);
        rendering.refresh(index, merged.hidden());
        let mode = |family| index.family(family).mode;
        gauges.fill(index.gauges(), cells, mode, processes);
        readings.fill(cells, mode, processes);
        let report =
            Report { skipped: std::mem::take(skipped), conflicts: Vec::new(), files: *files, lost: *lost };
        let lives = LifeParts { merged, lives, cells, series };
        let parts = Parts { index, totals, natives, gauges, readings, processes, lives, exemplars };
        Merged::new(parts, rendering, report)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headcount::Registry;

    use super::*;
    use crate::{Folder, Foreign};

    #[test]
    fn what_is_known_stays_known_while_some_file_describes_it() {
        let (written, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let registry = Registry::in_directory(written.path()).unwrap();
        registry.counter_family("c", "Help.", ["l"]).unwrap().with(["x"]).add(3);
        registry.gauge("g", "", GaugeMode::Max).unwrap().set(1.0);
        let own = std::fs::read_dir(written.path()).unwrap().next().unwrap().unwrap().path();
        std::fs::copy(own, temporary.path().join("dead-0.hc")).unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let mut merger = Merger::default();
        let mut version = || {
            let mut gather = merger.gather(&directory).unwrap();
            gather.add_counter("own_total", "Of a caller.", 1);
            gather.add_gauge("own", "Of a caller, too.", &[("l", "x")], 1.0);
            merger.known.index.version()
        };
        let first = version();
        Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
        assert_eq!(directory.list().unwrap(), ["archive-1.hc"]);
        assert_eq!(version(), first, "the archive describes the same");
        std::fs::remove_file(temporary.path().join("archive-1.hc")).unwrap();
        assert!(version() < first, "nobody describes it any more");
    }
}
