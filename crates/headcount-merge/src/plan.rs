//! What becomes of a peer's values, entry by entry: found out once, followed at each merge.

use crate::gauge::{GaugeRun, GaugeSlot};
use crate::tally::Tally;
use crate::totals::Slot;
use crate::values::Values;

/// Where an entry's value goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Added to a slot.
    Sum(Slot),
    /// Ruby's buckets are cumulated: each holds what the smaller ones hold.
    CumulatedBucket { series: u32, bound: f64, slot: Slot },
    /// A gauge of a family.
    Gauge { family: u32, slot: GaugeSlot },
    /// Nowhere: the count of a histogram is derived from its buckets.
    Nowhere,
}

/// Where the values of a file go, in the order of its entries.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    steps: Vec<Step>,
}

/// So many entries, of which the first goes to the target and the others to those that follow it.
#[derive(Debug)]
struct Step {
    entries: u32,
    first: Target,
}

impl Step {
    /// Whether a target is the next one.
    fn goes_on_with(&self, target: Target) -> bool {
        match (self.first, target) {
            (Target::Sum(first), Target::Sum(slot)) => first + self.entries == slot,
            (Target::Gauge { family, slot: first }, Target::Gauge { family: other, slot }) => {
                family == other && first + self.entries == slot
            }
            (Target::Nowhere, Target::Nowhere) => true,
            _ => false,
        }
    }
}

impl Plan {
    /// Makes a plan for entries with these targets.
    pub(crate) fn new(targets: impl Iterator<Item = Target>) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        for target in targets {
            match steps.last_mut().filter(|last| last.goes_on_with(target)) {
                Some(last) => last.entries += 1,
                None => steps.push(Step { entries: 1, first: target }),
            }
        }
        Self { steps }
    }

    /// Adds values to what they belong to. There is room for all sums.
    pub(crate) fn follow(&self, values: &Values, process: u32, tally: &mut Tally) {
        let mut cumulated = Vec::new();
        let mut end = 0;
        for Step { entries, first } in &self.steps {
            let own = end..end + *entries as usize;
            end = own.end;
            match *first {
                Target::Sum(slot) => tally.totals.add_floats(slot, values.of(own).iter().copied()),
                Target::Gauge { family, slot: first } => {
                    let start = tally.gauges.add_values(values.with_times(own));
                    let (len, stride, has_time, only) = (*entries, 2, true, None);
                    let run = GaugeRun { process, family, first, len, start, stride, has_time, only };
                    tally.gauges.add_run(run);
                }
                Target::CumulatedBucket { series, bound, slot } => {
                    cumulated.extend(values.of(own).iter().map(|&value| (series, bound, slot, value)));
                }
                Target::Nowhere => {}
            }
        }
        cumulated.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut smaller = None;
        for (series, _, slot, value) in cumulated {
            let below = smaller.filter(|&(same, _)| same == series).map_or(0.0, |(_, value)| value);
            tally.totals.add_float(slot, value - below);
            smaller = Some((series, value));
        }
    }
}
