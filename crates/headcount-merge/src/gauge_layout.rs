//! Where those cells of a file go that are no part of a sum over processes: gauges, and what is merged as gauges
//! are.
//!
//! A gauge histogram is a gauge for its sum and one for each bucket, a state set one for each state, and an info
//! one for each label set. A gauge of differences is one, too, once the slabs of its process are added up.

use headcount_store::cell::{decode_states, encode_gauge};
use headcount_store::metric::GaugeMerge;
use headcount_store::read::{self, Cells};

use crate::gauge::{GaugeRun, GaugeSlot};
use crate::marks::Marks;
use crate::shared_cells::{Found, SharedCells, Wanted};
use crate::tally::Tally;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct GaugeLayout {
    /// With shared cells.
    runs: Vec<Gauges>,
    differences: Vec<Differences>,
    infos: Vec<Info>,
    states: Vec<States>,
}

/// Gauges of one family whose slots are consecutive, and whose cells are as far apart each: between them may be those
/// of others, if they were created in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauges {
    family: u32,
    first: GaugeSlot,
    len: u32,
    first_cell: u32,
    stride: u32,
    content: GaugeContent,
}

/// What the cells of a gauge hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum GaugeContent {
    Value,
    ValueAndTime,
    /// What the values of several dead processes have come to, for each way to merge.
    Folded,
    /// The value of one dead process, by its number in the archive.
    Of(u16),
}

/// Gauges of one family whose summed cells and slots are consecutive.
#[derive(Debug)]
struct Differences {
    family: u32,
    first: GaugeSlot,
    first_cell: u32,
    /// The life cell of each.
    lives: Vec<Option<u32>>,
}

/// A label set of an info.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    pub(crate) family: u32,
    pub(crate) slot: GaugeSlot,
    pub(crate) life: Option<u32>,
    /// In an archive, the number of the process that it was of.
    pub(crate) of: Option<u16>,
}

/// The states of a series of a state set: a bit each.
#[derive(Debug)]
pub(crate) struct States {
    pub(crate) family: u32,
    pub(crate) cell: u32,
    pub(crate) slots: Vec<GaugeSlot>,
}

impl GaugeContent {
    /// How many cells there are for a gauge.
    fn cells(self) -> u32 {
        match self {
            Self::Value | Self::Of(_) => 1,
            Self::ValueAndTime => 2,
            Self::Folded => 5,
        }
    }
}

impl GaugeLayout {
    /// Notes where the cells of a gauge are: in the last run, if it goes on with that.
    pub(crate) fn add(&mut self, gauge: Gauges) {
        if !self.runs.last_mut().is_some_and(|last| last.go_on_with(gauge)) {
            self.runs.push(gauge);
        }
    }

    /// Notes where the summed cell of a gauge is, and its life cell.
    pub(crate) fn add_difference(&mut self, family: u32, slot: GaugeSlot, cell: u32, life: Option<u32>) {
        match self.differences.last_mut() {
            Some(last) if (last.family, last.end()) == (family, (slot, cell)) => last.lives.push(life),
            _ => {
                let lives = vec![life];
                self.differences.push(Differences { family, first: slot, first_cell: cell, lives });
            }
        }
    }

    /// Notes a label set of an info.
    pub(crate) fn add_info(&mut self, info: Info) {
        self.infos.push(info);
    }

    /// Notes where the states of a series are.
    pub(crate) fn add_states(&mut self, states: States) {
        self.states.push(states);
    }

    /// Marks what is described.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        self.runs.iter().for_each(|run| marks.gauges(run.first..run.first + run.len));
        self.differences.iter().for_each(|run| marks.gauges(run.first..run.end().0));
        self.infos.iter().for_each(|info| marks.gauges(info.slot..info.slot + 1));
        let states = self.states.iter().flat_map(|states| &states.slots);
        states.for_each(|&slot| marks.gauges(slot..slot + 1));
    }

    /// Collects what a process has set. `shared` are its shared cells; `described` are the numbers of the processes that the
    /// file describes.
    pub(crate) fn apply(
        &self,
        cells: &Cells,
        shared: SharedCells<'_>,
        process: u32,
        described: &[u32],
        tally: &mut Tally,
    ) {
        self.runs.iter().for_each(|run| run.apply(shared, process, described, tally));
        self.differences.iter().for_each(|run| run.apply(cells, process, tally));
        for &Info { family, slot, of, .. } in
            self.infos.iter().filter(|info| !cells.life(info.life).is_removed)
        {
            let process = of.map_or(process, |number| described[usize::from(number)]);
            tally.gauges.add_one(family, slot, process, 1.0);
        }
        for States { family, cell, slots } in &self.states {
            let Some(on) = decode_states(cells.shared(*cell)) else { continue };
            for (bit, &slot) in slots.iter().enumerate() {
                let value = if on >> bit & 1 == 1 { 1.0 } else { 0.0 };
                tally.gauges.add_one(*family, slot, process, value);
            }
        }
    }
}

impl Gauges {
    pub(crate) fn one(family: u32, slot: GaugeSlot, cell: u32, content: GaugeContent) -> Self {
        Self { family, first: slot, len: 1, first_cell: cell, stride: content.cells(), content }
    }

    /// Takes a gauge in, if it comes next; the second one says how far apart they are.
    fn go_on_with(&mut self, next: Self) -> bool {
        let is_alike = (self.family, self.content) == (next.family, next.content);
        let distance = next.first_cell.saturating_sub(self.first_cell);
        if !is_alike || self.first + self.len != next.first || distance < self.content.cells() {
            return false;
        }
        if self.len == 1 {
            self.stride = distance;
        }
        let goes_on = self.stride.checked_mul(self.len) == Some(distance);
        self.len += u32::from(goes_on);
        goes_on
    }

    fn apply(self, shared: SharedCells<'_>, process: u32, described: &[u32], tally: &mut Tally) {
        let Self { family, first, len, first_cell, stride, content } = self;
        let wanted = Wanted { first: first_cell, width: content.cells(), stride, len };
        // What is described and not there was never set.
        let Found { start, stride, len } = shared.take(wanted, &mut tally.gauges);
        if len == 0 {
            return;
        }
        let stride = stride as usize;
        let run = |process, at: usize, has_time, only| {
            let start = start + at;
            GaugeRun { process, family, first, len, start, stride, has_time, only }
        };
        let mut add = |run| tally.gauges.add_run(run);
        match content {
            GaugeContent::Value => add(run(process, 0, false, None)),
            GaugeContent::ValueAndTime => add(run(process, 0, true, None)),
            GaugeContent::Folded => {
                for (at, merge) in (0..).zip([GaugeMerge::Sum, GaugeMerge::Min, GaugeMerge::Max]) {
                    add(run(process, at, false, Some(merge)));
                }
                add(run(process, 3, true, Some(GaugeMerge::MostRecent)));
            }
            GaugeContent::Of(number) => {
                add(run(described[usize::from(number)], 0, false, Some(GaugeMerge::All)));
            }
        }
    }
}

impl Differences {
    /// The slot and the cell behind the last.
    fn end(&self) -> (GaugeSlot, u32) {
        let len = u32::try_from(self.lives.len()).unwrap_or(u32::MAX);
        (self.first.saturating_add(len), self.first_cell.saturating_add(len))
    }

    /// Adds up the slabs of a process. What nobody has added to is 0, and was never anything else.
    fn apply(&self, cells: &Cells, process: u32, tally: &mut Tally) {
        let mut sums = vec![0.0; self.lives.len()];
        for slab in cells.slabs() {
            let slab = slab.get(self.first_cell as usize * 8..).unwrap_or_default();
            sums.iter_mut().zip(read::cells(slab)).for_each(|(sum, cell)| *sum += f64::from_bits(cell));
        }
        let lives = self.lives.iter().map(|&life| cells.life(life).is_removed);
        let values =
            sums.iter().zip(lives).map(|(&sum, removed)| if removed { 0 } else { encode_gauge(sum) });
        let start = tally.gauges.add_cells(values);
        let Self { family, first, .. } = *self;
        let (len, stride, has_time, only) = (self.end().0 - first, 1, false, None);
        tally.gauges.add_run(GaugeRun { process, family, first, len, start, stride, has_time, only });
    }
}
