//! What one gather has found so far, file by file: sums, what is merged otherwise, and whose it is.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use headcount_store::FileError;
use headcount_store::directory::{Directory, FileName, is_locked};
use headcount_store::format::header::Header;
use headcount_store::format::source::Source;

use crate::estate::Archived;
use crate::exemplars::Exemplars;
use crate::gauge::GaugeCells;
use crate::lives::Lives;
use crate::native_totals::NativeTotals;
use crate::process::{Life, Processes};
use crate::report::{FileCounts, Lost, Skipped};
use crate::roster::Entry;
use crate::totals::Totals;

/// See the module. The space is used again for the next gather.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) totals: Totals,
    pub(crate) natives: NativeTotals,
    pub(crate) gauges: GaugeCells,
    pub(crate) lives: Lives,
    pub(crate) exemplars: Exemplars,
    pub(crate) processes: Processes,
    pub(crate) files: FileCounts,
    pub(crate) lost: Lost,
    pub(crate) alive: Vec<Living>,
    /// Whether there are files that an archive may stand for.
    pub(crate) has_graves: bool,
    /// Whether an archive stood for any.
    pub(crate) has_passed_over: bool,
    /// Whether there is a file under a process's own name that nobody holds.
    pub(crate) has_abandoned: bool,
    /// The files that the archives stand for: their names, and what else they are known by.
    pub(crate) covered: HashMap<String, u64>,
    pub(crate) skipped: Vec<Skipped>,
    /// The archives of which all that is merged has been added up, to begin with.
    pub(crate) estate: Vec<Arc<Archived>>,
}

/// A process that was alive when its file was read.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) file: FileName,
    pub(crate) process: u32,
    /// What it is to be when it is dead.
    pub(crate) dead: Life,
    /// Whether it holds a lock on the file. A peer's live gauges are there for as long as it lives.
    pub(crate) holds_lock: bool,
}

/// A file that goes away only by being folded has gone: what was read belongs to two states of the directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WasFolded;

impl Tally {
    /// Notes that a file was not read, unless it was folded.
    pub(crate) fn skip(&mut self, entry: &Entry, error: FileError) -> Result<(), WasFolded> {
        if matches!(error, FileError::Vanished) && entry.is_buried() {
            return Err(WasFolded);
        }
        self.skipped.push(Skipped { name: entry.name.clone(), error });
        Ok(())
    }

    /// Looks once more who is alive: whoever has died since, and has perhaps been replaced by a process
    /// that was found later, does not count beside its successor.
    pub(crate) fn part_with_the_dead(&mut self, directory: &Directory) {
        for Living { file, process, dead, holds_lock } in self.alive.drain(..) {
            // A file that is gone under this name has been buried.
            let file = directory.open_file(file.to_string().as_ref());
            let is_alive = file.is_ok_and(|file| !holds_lock || is_locked(&file));
            if !is_alive {
                self.processes.set_life(process, dead);
            }
        }
    }

    /// Whether an archive that was read stands for a file.
    pub(crate) fn is_covered(&mut self, name: &FileName, file: &File) -> Result<bool, FileError> {
        if self.covered.is_empty() || name.burial().is_none() {
            return Ok(false);
        }
        // Only between the archive's appearance and the file's end is there anything to compare.
        let is_covered = match self.covered.get(&name.to_string()) {
            Some(&identity) => Source::of(name, file)?.identity == identity,
            None => false,
        };
        self.has_passed_over |= is_covered;
        Ok(is_covered)
    }

    /// Counts one of our files.
    pub(crate) fn count(&mut self, header: &Header) {
        self.files.own += 1;
        // A file may say anything.
        let Self { files, lost, .. } = self;
        for (sum, more) in [
            (&mut files.folded, header.folded),
            (&mut lost.series, header.lost_series),
            (&mut lost.updates, header.lost_updates),
            (&mut lost.exemplars, header.lost_exemplars),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// Begins again with what the dead have left, in the same space.
    pub(crate) fn clear(&mut self) {
        self.totals.clear();
        self.natives.clear();
        self.gauges.clear();
        self.lives.clear();
        self.exemplars.clear();
        self.skipped.clear();
        self.alive.clear();
        self.covered.clear();
        (self.has_passed_over, self.has_abandoned) = (false, false);
        self.processes.clear();
        self.files = FileCounts::default();
        self.lost = Lost::default();
    }
}
