//! Where the cells of a file go.

use headcount_store::format::exemplar::Exemplar;
use headcount_store::metric::GaugeMode;
use headcount_store::read::{Cells, Reach};

use crate::exemplars::Owner;
use crate::gauge::GaugeSlot;
use crate::gauge_layout::{GaugeContent, GaugeLayout, Gauges};
use crate::index::Index;
use crate::lives::LifeRun;
use crate::marks::Marks;
use crate::native_layout::{NativeLayout, TableKeys};
use crate::native_places::NativePlaces;
use crate::process::Process;
use crate::shared_cells::{Found, SharedCells, Wanted};
use crate::sum_layout::SumLayout;
use crate::tally::Tally;

/// Where the cells of files with these descriptions go.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// How long the descriptions are, in bytes.
    pub(crate) records_len: usize,
    /// Which cells are described.
    pub(crate) reach: Reach,
    pub(crate) sums: SumLayout,
    pub(crate) gauges: GaugeLayout,
    pub(crate) natives: NativeLayout,
    /// Where the life cells of summed series are.
    lives: Vec<LifeCells>,
    /// Families, and their help texts.
    pub(crate) families: Vec<(u32, Box<str>)>,
    /// Families that have a unit.
    pub(crate) units: Vec<(u32, Box<str>)>,
    /// Families of gauges, and the mode in which these files have each.
    pub(crate) modes: Vec<(u32, GaugeMode)>,
    /// Dead processes of which an archive keeps values by themselves.
    pub(crate) processes: Vec<Process>,
}

/// Series whose numbers and life cells are as far apart each: between them may be others, of which something else is
/// said.
#[derive(Clone, Copy, Debug)]
struct LifeCells {
    first: u32,
    step: u32,
    len: u32,
    /// `None` of series whose descriptions name none.
    first_cell: Option<u32>,
    stride: u32,
}

impl Layout {
    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        self.families.iter().for_each(|(family, help)| marks.family(*family, help));
        self.units.iter().for_each(|(family, unit)| marks.unit(*family, unit));
        self.sums.mark(marks);
        self.natives.mark(marks);
        self.gauges.mark(marks);
    }

    /// Notes in which modes these files have gauges.
    pub(crate) fn note_modes(&self, index: &mut Index) {
        self.modes.iter().for_each(|&(family, mode)| index.add_mode(family, mode));
    }

    /// Adds the cells of a process's file to the totals, for which there is room, and collects its gauges and
    /// lives. `since` is when those began of which nothing else is said, in nanoseconds since 1970; `places` is what is
    /// known of the tables in this file.
    pub(crate) fn apply(
        &self,
        (cells, keys): (&Cells, TableKeys<'_>),
        (process, since): (u32, u64),
        places: &mut NativePlaces,
        index: &mut Index,
        tally: &mut Tally,
    ) {
        cells.slabs().for_each(|slab| self.sums.apply(slab, &mut tally.totals));
        self.natives.apply((cells, keys), places, index.natives_mut(), tally);
        let processes: Vec<_> =
            self.processes.iter().map(|process| tally.processes.add(process.clone())).collect();
        let shared = SharedCells::of(cells.all_shared(), !self.natives.is_empty(), &mut tally.gauges);
        // What is described and not there is zero: a gauge that was never set, a life of which nothing is said.
        for &LifeCells { first, step, len, first_cell, stride } in &self.lives {
            let wanted = first_cell.map(|first| Wanted { first, width: 1, stride, len });
            let found = wanted.map(|wanted| shared.take(wanted, &mut tally.gauges));
            let known = found.map_or(0, |found| found.len);
            if let Some(Found { start, stride, len }) = found.filter(|found| found.len > 0) {
                tally.lives.add_run(LifeRun { process, first, step, len, start, stride, since });
            }
            if step == 1 && known < len {
                tally.lives.add_silent(process, first + known..first + len);
            } else {
                let silent = (known..len).map(|at| first + at * step);
                silent.for_each(|series| tally.lives.add_silent(process, series..series + 1));
            }
        }
        self.gauges.apply(cells, shared, process, &processes, tally);
    }

    /// The exemplars of a process's file, and whose they are.
    pub(crate) fn exemplars(&self, cells: &Cells) -> impl Iterator<Item = (Owner, Exemplar)> {
        cells.exemplars().filter_map(|exemplar| {
            let slot = self.sums.slot_of(exemplar.cell).map(Owner::Slot);
            let owner = slot.or_else(|| self.natives.native_of(exemplar.cell).map(Owner::Native))?;
            Some((owner, exemplar))
        })
    }

    pub(crate) fn add_gauge(
        &mut self,
        family: u32,
        first: GaugeSlot,
        first_cell: u32,
        content: GaugeContent,
    ) {
        self.gauges.add(Gauges::one(family, first, first_cell, content));
    }

    /// Notes where the life cell of a series is: in the last run, if it goes on with that.
    pub(crate) fn add_life(&mut self, series: u32, cell: Option<u32>) {
        if !self.lives.last_mut().is_some_and(|last| last.go_on_with(series, cell)) {
            self.lives.push(LifeCells { first: series, step: 1, len: 1, first_cell: cell, stride: 1 });
        }
    }
}

impl LifeCells {
    /// Takes a series in, if it comes next; the second one says how far apart they are.
    fn go_on_with(&mut self, series: u32, cell: Option<u32>) -> bool {
        let Some(step) = series.checked_sub(self.first).filter(|step| *step > 0) else { return false };
        match (self.first_cell, cell) {
            (Some(first_cell), Some(cell)) if cell > first_cell => {
                if self.len == 1 {
                    (self.step, self.stride) = (step, cell - first_cell);
                }
                let is_next = |distance, each: u32| each.checked_mul(self.len) == Some(distance);
                if !is_next(step, self.step) || !is_next(cell - first_cell, self.stride) {
                    return false;
                }
            }
            (None, None) if step == self.len => {}
            _ => return false,
        }
        self.len += 1;
        true
    }
}
