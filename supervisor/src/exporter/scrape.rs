//! One scrape: the directory is merged, and what there is to say about that is added.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use headcount_merge::{Folded, Folder, Foreign, Gather, Liveness, Merged, Merger, Skipped};
use headcount_store::FileError;
use headcount_store::directory::Directory;

use super::processes::Processes;
use crate::metrics::WORKERS;
use crate::view::{Labels, samples};

/// What the exporter may do in the directory.
#[derive(Debug)]
enum Rights {
    /// The directory's owner has started it: dead processes' files are buried and folded.
    Owner(Folder),
    /// It only reads.
    Reader,
}

/// Merges a directory, over and over.
#[derive(Debug)]
pub struct Scraper {
    directory: Directory,
    rights: Rights,
    merger: Merger,
    processes: Processes,
    /// How long the last exposition was, in bytes.
    exposed: usize,
    /// Files that were skipped and logged. What is skipped again is not logged again.
    logged: HashSet<(OsString, &'static str)>,
}

/// The scraper that tasks share. One that has panicked does not end the others.
pub(super) fn lock(shared: &Mutex<Scraper>) -> MutexGuard<'_, Scraper> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scraper {
    /// Scrapes `directory`, which somebody else owns.
    #[must_use]
    pub fn reader(directory: Directory) -> Self {
        Self::new(directory, Rights::Reader)
    }

    /// Scrapes `directory` for its owner: files whose processes have let go of them are buried, and those of
    /// dead processes are folded, the peers' as well if they are to be.
    #[must_use]
    pub fn for_owner(directory: Directory, foreign: Foreign) -> Self {
        Self::new(directory, Rights::Owner(Folder::new(foreign)))
    }

    /// Says nothing of this process itself.
    #[must_use]
    pub fn without_own_process(mut self) -> Self {
        self.processes.without_own();
        self
    }

    /// The same, with what tells that a peer's process is dead.
    #[must_use]
    pub fn judging_by(self, liveness: Liveness) -> Self {
        Self { merger: Merger::new(liveness).keeping_files_open(), ..self }
    }

    fn new(directory: Directory, rights: Rights) -> Self {
        Self {
            directory,
            rights,
            merger: Merger::default().keeping_files_open(),
            processes: Processes::new(),
            exposed: 0,
            logged: HashSet::new(),
        }
    }

    /// What `read` makes of the merged metrics, and of some about the merge.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn scrape<T>(&mut self, read: impl FnOnce(&Merged<'_>) -> T) -> io::Result<T> {
        let (mut is_last, mut has_swept) = (!self.is_owner(), !self.is_owner());
        loop {
            let start = Instant::now();
            let mut gather = self.merger.gather(&self.directory)?;
            if !has_swept && gather.has_abandoned() {
                self.sweep();
                has_swept = true;
                continue;
            }
            log_skipped(gather.skipped(), &mut self.logged);
            describe(&mut gather, start, self.exposed);
            self.processes.describe(&mut gather);
            let merged = gather.finish();
            // Which workers there are is known only now. If they have changed it begins again, once.
            if is_last || !self.processes.learn(&merged) {
                return Ok(read(&merged));
            }
            is_last = true;
        }
    }

    /// Takes note of how long an exposition is, in bytes.
    pub(super) fn note_exposed(&mut self, len: usize) {
        self.exposed = len;
    }

    /// Whether it is for the directory's owner.
    pub(super) fn is_owner(&self) -> bool {
        matches!(self.rights, Rights::Owner(_))
    }

    /// Buries and folds what dead processes have left, if those are at least so many files, for about so long; and lets go
    /// of what has been deleted.
    pub fn tidy(&mut self, at_least: usize, time: Duration) -> Folded {
        self.sweep();
        let folded = match &mut self.rights {
            Rights::Owner(folder) => folder.step(&self.directory, at_least, time).unwrap_or_else(|error| {
                tracing::warn!(error = %crate::chain(&error), "cannot fold dead processes' files");
                Folded::default()
            }),
            Rights::Reader => Folded::default(),
        };
        self.merger.close_deleted(&self.directory);
        folded
    }

    fn sweep(&self) {
        if self.is_owner()
            && let Err(error) = self.directory.sweep()
        {
            tracing::warn!(error = %crate::chain(&error), "cannot bury a dead process's file");
        }
    }

    /// Whether there is something to scrape: under a supervisor, a worker that is ready.
    #[must_use]
    pub fn is_ready(&mut self) -> bool {
        let is_owner = self.is_owner();
        let merged = self.merger.merge(&self.directory);
        merged.is_ok_and(|merged| !is_owner || ready_workers(&merged) > 0.0)
    }
}

fn log_skipped(skipped: &[Skipped], logged: &mut HashSet<(OsString, &'static str)>) {
    logged.retain(|(name, _)| skipped.iter().any(|skipped| skipped.name == *name));
    for skipped in skipped {
        // A file that vanishes has been buried or removed in between: that is life.
        let is_news = logged.insert((skipped.name.clone(), skipped.error.reason()));
        if is_news && !matches!(skipped.error, FileError::Vanished) {
            tracing::warn!("{skipped}");
        }
    }
}

fn ready_workers(merged: &Merged<'_>) -> f64 {
    let is_ready = |labels: &Labels| labels.get("state").is_some_and(|state| state == "ready");
    samples(merged, WORKERS).filter(|(labels, _)| is_ready(labels)).map(|(_, count)| count).sum()
}

/// Adds what the exporter has to say itself. `docs/metrics.md` lists it.
fn describe(gather: &mut Gather<'_>, start: Instant, exposed: usize) {
    let build = [("version", env!("CARGO_PKG_VERSION"))];
    gather.add_gauge("headcount_build_info", "The version of Headcount that serves this.", &build, 1.0);
    for reason in FileError::REASONS {
        let count = gather.skipped().iter().filter(|skipped| skipped.error.reason() == reason).count();
        gather.add_gauge(
            "headcount_skipped_files",
            "Files of the metrics directory that were not read, by reason.",
            &[("reason", reason)],
            to_f64(count),
        );
    }
    let files = gather.files();
    for (client, count) in [("headcount", files.own), ("python", files.python), ("ruby", files.ruby)] {
        let help = "Files of the metrics directory that were read, by the client that wrote them.";
        gather.add_gauge("headcount_files", help, &[("client", client)], to_f64(count));
    }
    let help = "Files of dead processes that have been folded into an archive.";
    gather.add_counter("headcount_folded_files_total", help, files.folded);
    let lost = gather.lost();
    let help = "Attempts of workers to create a metric or a series that failed.";
    gather.add_counter("headcount_lost_series_total", help, lost.series);
    let help = "Updates that workers could not record, because their series or thread had no space.";
    gather.add_counter("headcount_lost_updates_total", help, lost.updates);
    let help = "Exemplars that workers did not keep, because of their labels or for want of space.";
    gather.add_counter("headcount_lost_exemplars_total", help, lost.exemplars);
    let help = "Series that these files have, those of different processes merged.";
    gather.add_gauge("headcount_series", help, &[], to_f64(gather.series()));
    let help = "Bytes that the files of the metrics directory take in the file system.";
    #[expect(clippy::cast_precision_loss, reason = "fewer bytes than 2⁵³")]
    gather.add_gauge("headcount_directory_bytes", help, &[], files.bytes as f64);
    let help = "Bytes of the last answer to a scrape before this one, before they were compressed.";
    gather.add_gauge("headcount_exposition_bytes", help, &[], to_f64(exposed));
    let help = "Seconds that reading and adding up the metrics directory took in this scrape.";
    gather.add_gauge("headcount_gather_duration_seconds", help, &[], start.elapsed().as_secs_f64());
}

#[expect(clippy::cast_precision_loss, reason = "fewer files than 2⁵³")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
