//! Since when series are, and which have been removed: what the life cells of all files come to.
//!
//! A series is removed in one process, and counts in many. So it is hidden only if every living process that has it
//! has removed it; the dead speak where no living process does. What it counts stays in the sums, or they would
//! fall. Cells are only collected while files are read: who is alive is known at the end.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use headcount_store::cell::{Life, REMOVED};

use crate::gauge::GaugeCells;
use crate::process::{Life as ProcessLife, Processes};

/// What files say of the lives of series.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    runs: Vec<LifeRun>,
    silent: Vec<SilentRun>,
    kept: Kept,
}

/// What there is to begin with.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    runs: usize,
    silent: usize,
    /// Whether any of these runs says that something has been removed.
    has_removed: bool,
    /// Another number for what others have left.
    number: u64,
}

/// Series whose numbers are as far apart each, of which a process says since when they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LifeRun {
    pub(crate) process: u32,
    pub(crate) first: u32,
    pub(crate) step: u32,
    pub(crate) len: u32,
    /// Where the life cell of the first is among the cells that were taken, and how far apart they are.
    pub(crate) start: usize,
    pub(crate) stride: u32,
    /// What a time of 0 stands for, in nanoseconds since 1970; 0 if that is not known. No two processes have the same.
    pub(crate) since: u64,
}

/// Series of which a process has some value, and says no more.
#[derive(Clone, Debug, PartialEq)]
struct SilentRun {
    process: u32,
    series: Range<u32>,
}

impl LifeRun {
    /// Brings each life cell to what belongs to its series, of what all series have.
    fn bring<T>(&self, cells: &GaugeCells, all: &mut [T], mut take: impl FnMut(&mut T, u64)) {
        let (mut at, step) = (self.first as usize, self.step as usize);
        if step == 1 {
            let places = &mut all[at..at + self.len as usize];
            return cells.bring((self.start, self.stride as usize), places.iter_mut(), take);
        }
        cells.bring((self.start, self.stride as usize), 0..self.len, |_, cell| {
            take(&mut all[at], cell);
            at += step;
        });
    }

    /// Whether any of its cells says that something has been removed.
    fn has_removed(&self, cells: &GaugeCells) -> bool {
        let mut any = 0;
        cells.bring((self.start, self.stride as usize), 0..self.len, |_, cell| any |= cell);
        any & REMOVED != 0
    }
}

impl Lives {
    /// Begins again with what is [kept](Self::keep).
    pub(crate) fn clear(&mut self) {
        self.runs.truncate(self.kept.runs);
        self.silent.truncate(self.kept.silent);
    }

    /// Keeps what there is now, to begin with. These are the cells.
    pub(crate) fn keep(&mut self, cells: &GaugeCells) {
        let has_removed = self.runs.iter().any(|run| run.has_removed(cells));
        self.kept = Kept { runs: self.runs.len(), silent: self.silent.len(), has_removed, ..self.kept };
    }

    /// Begins again with nothing.
    pub(crate) fn forget(&mut self) {
        *self = Self { kept: Kept { number: self.kept.number + 1, ..Kept::default() }, ..Self::default() };
    }

    /// Says which series the life cells that were taken are of.
    pub(crate) fn add_run(&mut self, run: LifeRun) {
        self.runs.push(run);
    }

    /// Notes that a process has series of which nothing is said.
    pub(crate) fn add_silent(&mut self, process: u32, series: Range<u32>) {
        self.silent.push(SilentRun { process, series });
    }

    /// The series that are not to be shown, in order; `series` is how many there are.
    pub(crate) fn hidden(&self, series: u32, cells: &GaugeCells, processes: &Processes) -> Vec<u32> {
        // Most often nothing is removed, and that is seen without looking at each.
        let mut new = self.runs[self.kept.runs..].iter();
        if !self.kept.has_removed && !new.any(|run| run.has_removed(cells)) {
            return Vec::new();
        }
        let mut said = vec![Said::default(); series as usize];
        for run in &self.runs {
            let is_alive = processes.get(run.process).life == ProcessLife::Alive;
            run.bring(cells, &mut said, |said, cell| said.add(is_alive, cell & REMOVED != 0));
        }
        for SilentRun { process, series } in &self.silent {
            let is_alive = processes.get(*process).life == ProcessLife::Alive;
            said[series.start as usize..series.end as usize]
                .iter_mut()
                .for_each(|said| said.add(is_alive, false));
        }
        (0..series).zip(said).filter(|(_, said)| said.is_hidden()).map(|(series, _)| series).collect()
    }

    /// Since when each series is, in milliseconds since 1970: the earliest of all processes'; 0 where one does not
    /// say.
    fn created(&self, series: u32, cells: &GaugeCells) -> Vec<u64> {
        let mut created = vec![u64::MAX; series as usize];
        for run in &self.runs {
            let since = run.since / 1_000_000;
            run.bring(cells, &mut created, |created, cell| {
                let own = Life::decode(cell).created;
                *created = (*created).min(if own == 0 { since } else { own });
            });
        }
        for SilentRun { series, .. } in &self.silent {
            created[series.start as usize..series.end as usize].fill(0);
        }
        // What no file has is a caller's own.
        created.iter_mut().filter(|created| **created == u64::MAX).for_each(|created| *created = 0);
        created
    }
}

/// What processes say of one series.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// Whether a process has it, and whether one has removed it: first of the dead, then of the living.
    has: [bool; 2],
    removed: [bool; 2],
}

impl Said {
    fn add(&mut self, is_alive: bool, is_removed: bool) {
        let said = if is_removed { &mut self.removed } else { &mut self.has };
        said[usize::from(is_alive)] = true;
    }

    fn is_hidden(self) -> bool {
        let ([dead_have, living_have], [dead_removed, living_removed]) = (self.has, self.removed);
        !living_have && (living_removed || (dead_removed && !dead_have))
    }
}

/// The lives of all series of a merge.
#[derive(Debug, Default)]
pub(crate) struct MergedLives {
    hidden: Vec<u32>,
    /// Once somebody has asked for it: not every format says it.
    created: OnceLock<Vec<u64>>,
    of: Sayers,
}

/// Who has said since when which series are, of how many. No process ever says it otherwise, so the same have said the same.
#[derive(Debug, Default)]
struct Sayers {
    runs: Vec<LifeRun>,
    silent: Vec<SilentRun>,
    kept: u64,
    series: u32,
}

/// What there is to find out about lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LifeParts<'a> {
    pub(crate) merged: &'a MergedLives,
    pub(crate) lives: &'a Lives,
    pub(crate) cells: &'a GaugeCells,
    pub(crate) series: u32,
}

impl MergedLives {
    /// Takes the place of what was merged before, of so many series.
    pub(crate) fn fill(&mut self, hidden: Vec<u32>, lives: &Lives, series: u32) {
        self.hidden = hidden;
        let Lives { runs, silent, kept: Kept { number, .. } } = lives;
        let is_same = (&self.of.runs, &self.of.silent) == (runs, silent)
            && (self.of.kept, self.of.series) == (*number, series);
        if !is_same {
            self.of = Sayers { runs: runs.clone(), silent: silent.clone(), kept: *number, series };
            self.created.take();
        }
    }

    /// The series that are not to be shown, in order.
    pub(crate) fn hidden(&self) -> &[u32] {
        &self.hidden
    }
}

impl<'a> LifeParts<'a> {
    /// Whether a series is not to be shown.
    pub(crate) fn is_hidden(&self, series: u32) -> bool {
        self.merged.hidden.binary_search(&series).is_ok()
    }

    /// How long after 1970 a series was created; `None` if that is not known of all who count it.
    pub(crate) fn created(&self, series: u32) -> Option<Duration> {
        Some(self.millis(series)).filter(|&created| created != 0).map(Duration::from_millis)
    }

    /// All of it, as an archive keeps it.
    pub(crate) fn of(&self, series: u32) -> Life {
        Life { created: self.millis(series), is_removed: self.is_hidden(series) }
    }

    fn millis(&self, series: u32) -> u64 {
        self.all_created()[series as usize]
    }

    /// Since when each series is, in milliseconds since 1970; 0 where that is not known.
    pub(crate) fn all_created(self) -> &'a [u64] {
        self.merged.created.get_or_init(|| self.lives.created(self.series, self.cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter for each process: living or dead, in capitals if it has removed the series.
    fn check(processes: &str, is_hidden: bool) {
        let mut said = Said::default();
        for process in processes.chars() {
            said.add(process.eq_ignore_ascii_case(&'l'), process.is_uppercase());
        }
        assert_eq!(said.is_hidden(), is_hidden, "{processes}");
    }

    #[test]
    fn a_series_is_hidden_once_every_living_process_that_has_it_has_removed_it() {
        check("", false);
        check("l", false);
        check("L", true);
        check("Ll", false);
        check("LL", true);
        check("Ld", true);
        check("lD", false);
    }

    #[test]
    fn where_only_the_dead_have_it_all_of_them_must_have_removed_it() {
        check("d", false);
        check("D", true);
        check("Dd", false);
        check("DD", true);
    }
}
