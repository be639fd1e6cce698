//! The index: each family and each series once, however many processes have it.
//!
//! A family is a name and a kind; families of one name and different kinds stand side by side here, and
//! [`merged`](crate::merged) decides which is exposed. A series is a family and a label set. Both are
//! found by the bytes that stand for them, compared in full.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use headcount_store::metric::{GaugeMerge, GaugeMode, Kind};
use headcount_store::text::write_labels;

use crate::gauge::{GaugeSlot, initial_mode, prevailing};
use crate::labels::{decode, has_plain_names};
use crate::native_buckets::{NativeBuckets, NativeSlot};
use crate::totals::Slot;

/// What several processes have described, as one.
#[derive(Debug)]
pub(crate) struct FamilyEntry {
    /// As it is exposed: with `_total`, for most counters, and with `_info`.
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    /// Of several help texts, the first in the order of their bytes.
    pub(crate) help: Box<str>,
    /// Of several units, the first in the order of their bytes.
    pub(crate) unit: Box<str>,
    /// Of several gauge modes, the one that prevails.
    pub(crate) mode: GaugeMode,
    /// In the order of their labels, once the index is [sorted](Index::sort).
    pub(crate) series: Vec<u32>,
    /// Whether some label name is spelled otherwise in an exposition, perhaps like another one.
    pub(crate) has_odd_labels: bool,
    has_natives: bool,
    /// How many of the series are in order.
    sorted: usize,
}

/// Families without a help text get the one of Ruby's client, whose files hold none.
const NO_HELP: &str = "Multiprocess metric";

impl FamilyEntry {
    /// The help text that is exposed.
    pub(crate) fn help_or_default(&self) -> &str {
        if self.help.is_empty() { NO_HELP } else { &self.help }
    }

    /// Whether it depends on the processes which series it has, or which lines.
    pub(crate) fn is_listed(&self) -> bool {
        let by_process = self.mode.merge() == GaugeMerge::All;
        match self.kind {
            Kind::Gauge | Kind::Info => by_process || self.has_odd_labels,
            Kind::GaugeHistogram => true,
            _ => self.has_odd_labels,
        }
    }

    /// Whether any of its series is a native histogram.
    pub(crate) fn has_natives(&self) -> bool {
        self.has_natives
    }
}

/// A series, and the slots in which it is summed.
#[derive(Debug)]
pub(crate) struct SeriesEntry {
    pub(crate) family: u32,
    labels: Range<usize>,
    hash: u64,
    pub(crate) sums: Sums,
}

/// The slots of a series.
#[derive(Debug)]
pub(crate) enum Sums {
    /// A gauge, which is not summed; a label set of an info; a state.
    Gauge(GaugeSlot),
    /// A counter.
    One(Slot),
    /// A summary.
    Summary { sum: Slot, count: Slot },
    /// A histogram, with its buckets by upper bound, not cumulated. Different processes may have
    /// different bounds: there is one bucket for each bound that any of them has. Some may have tables beside.
    Histogram { sum: Slot, buckets: Vec<(f64, Slot)>, native: Option<NativeSlot> },
    /// A gauge histogram: the same, of gauges.
    GaugeHistogram { sum: GaugeSlot, buckets: Vec<(f64, GaugeSlot)> },
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    families: Vec<FamilyEntry>,
    family_table: HashTable<u32>,
    series: Vec<SeriesEntry>,
    series_table: HashTable<u32>,
    /// The labels of all series, in the encoding of [`labels`](crate::labels).
    labels: Vec<u8>,
    slots: Slot,
    gauges: GaugeSlot,
    natives: NativeBuckets,
    /// How often something was added.
    version: u64,
    hasher: RandomState,
}

impl Index {
    pub(crate) fn families(&self) -> &[FamilyEntry] {
        &self.families
    }

    pub(crate) fn family(&self, family: u32) -> &FamilyEntry {
        &self.families[family as usize]
    }

    pub(crate) fn series(&self, series: u32) -> &SeriesEntry {
        &self.series[series as usize]
    }

    /// The number of series.
    pub(crate) fn series_count(&self) -> u32 {
        number(self.series.len())
    }

    /// The encoded labels of a series.
    pub(crate) fn labels(&self, series: u32) -> &[u8] {
        &self.labels[self.series(series).labels.clone()]
    }

    /// Appends the labels of a series, as an exposition spells them.
    pub(crate) fn spell(&self, series: u32, out: &mut Vec<u8>) {
        write_labels(out, decode(self.labels(series)));
    }

    /// The series of an info, and their gauges; none, of any other family.
    pub(crate) fn info_slots<'a>(
        &'a self,
        family: &'a FamilyEntry,
    ) -> impl Iterator<Item = (u32, GaugeSlot)> + 'a {
        let is_info = family.kind == Kind::Info;
        family.series.iter().filter_map(move |&series| match self.series(series).sums {
            Sums::Gauge(slot) if is_info => Some((series, slot)),
            _ => None,
        })
    }

    /// The number of slots that were given out.
    pub(crate) fn slots(&self) -> Slot {
        self.slots
    }

    /// The number of gauges.
    pub(crate) fn gauges(&self) -> GaugeSlot {
        self.gauges
    }

    /// Another number whenever something was added.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Finds or adds a family.
    pub(crate) fn intern_family(&mut self, name: &str, kind: Kind) -> u32 {
        let hash = self.hasher.hash_one((name, kind));
        let families = &self.families;
        let is_same = |&family: &u32| {
            let known = &families[family as usize];
            *known.name == *name && known.kind == kind
        };
        if let Some(&family) = self.family_table.find(hash, is_same) {
            return family;
        }
        self.version += 1;
        let family = number(self.families.len());
        let (hasher, families) = (&self.hasher, &self.families);
        let rehash = |&family: &u32| {
            let known = &families[family as usize];
            hasher.hash_one((&*known.name, known.kind))
        };
        self.family_table.insert_unique(hash, family, rehash);
        self.families.push(FamilyEntry {
            name: name.into(),
            kind,
            help: "".into(),
            unit: "".into(),
            mode: initial_mode(kind),
            series: Vec::new(),
            has_odd_labels: false,
            has_natives: false,
            sorted: 0,
        });
        family
    }

    /// Notes a help text that a process gave a family.
    pub(crate) fn add_help(&mut self, family: u32, help: &str) {
        let known = &mut self.families[family as usize].help;
        if !help.is_empty() && (known.is_empty() || *help < **known) {
            *known = help.into();
            self.version += 1;
        }
    }

    /// Notes a unit that a process gave a family, if its name ends with it: otherwise it is none.
    pub(crate) fn add_unit(&mut self, family: u32, unit: &str) {
        let known = &mut self.families[family as usize];
        let name = known.name.strip_suffix(known.kind.name_suffix()).unwrap_or(&known.name);
        let is_its = name.strip_suffix(unit).is_some_and(|name| name.ends_with('_'));
        if !unit.is_empty() && is_its && (known.unit.is_empty() || *unit < *known.unit) {
            known.unit = unit.into();
            self.version += 1;
        }
    }

    /// Notes a mode in which a process has a gauge.
    pub(crate) fn add_mode(&mut self, family: u32, mode: GaugeMode) {
        let known = &mut self.families[family as usize].mode;
        *known = prevailing(*known, mode);
    }

    /// Forgets which modes were noted.
    pub(crate) fn forget_modes(&mut self) {
        self.families.iter_mut().for_each(|family| family.mode = initial_mode(family.kind));
    }

    /// Puts the series of each family into the order of their labels.
    pub(crate) fn sort(&mut self) {
        for family in self.families.iter_mut().filter(|family| family.sorted < family.series.len()) {
            let labels = |series: u32| &self.labels[self.series[series as usize].labels.clone()];
            family.series.sort_unstable_by(|&a, &b| labels(a).cmp(labels(b)));
            family.sorted = family.series.len();
        }
    }

    /// Finds or adds a series by its encoded labels.
    pub(crate) fn intern_series(&mut self, family: u32, labels: &[u8]) -> u32 {
        let hash = self.hasher.hash_one((family, labels));
        let (all, series) = (&self.labels, &self.series);
        let is_same = |&found: &u32| {
            let known = &series[found as usize];
            known.hash == hash && known.family == family && all[known.labels.clone()] == *labels
        };
        if let Some(&found) = self.series_table.find(hash, is_same) {
            return found;
        }
        self.version += 1;
        let added = number(self.series.len());
        self.series_table.insert_unique(hash, added, |&found| series[found as usize].hash);
        let start = self.labels.len();
        self.labels.extend(labels);
        let is_plain = has_plain_names(labels);
        let sums = match self.family(family).kind {
            Kind::Gauge | Kind::Info | Kind::StateSet => Sums::Gauge(self.new_gauge()),
            Kind::GaugeHistogram => Sums::GaugeHistogram { sum: self.new_gauge(), buckets: Vec::new() },
            Kind::Counter => Sums::One(self.new_slots(1)),
            Kind::Summary => {
                let sum = self.new_slots(2);
                Sums::Summary { sum, count: sum + 1 }
            }
            Kind::Histogram => Sums::Histogram { sum: self.new_slots(1), buckets: Vec::new(), native: None },
        };
        self.series.push(SeriesEntry { family, labels: start..self.labels.len(), hash, sums });
        let entry = &mut self.families[family as usize];
        entry.series.push(added);
        entry.has_odd_labels |= !is_plain;
        added
    }

    /// The slot of a histogram's bucket, which is added if need be: among the sums, or of a gauge histogram among
    /// the gauges.
    pub(crate) fn intern_bucket(&mut self, series: u32, bound: f64) -> Slot {
        // -0 and 0 are one bound.
        let bound = bound + 0.0;
        let (slots, buckets) = match &mut self.series[series as usize].sums {
            Sums::Histogram { buckets, .. } => (&mut self.slots, buckets),
            Sums::GaugeHistogram { buckets, .. } => (&mut self.gauges, buckets),
            _ => return self.slots,
        };
        let next = *slots;
        // Most often the bounds come in order, each series by itself.
        let at = buckets.iter().rposition(|(known, _)| *known <= bound);
        match at {
            Some(at) if buckets[at].0 == bound => buckets[at].1,
            _ => {
                buckets.insert(at.map_or(0, |at| at + 1), (bound, next));
                *slots += 1;
                self.version += 1;
                next
            }
        }
    }

    /// The number of a histogram that is native, which it is from now on. `None` of what is no histogram.
    pub(crate) fn intern_native(&mut self, series: u32) -> Option<NativeSlot> {
        let SeriesEntry { family, sums, .. } = &mut self.series[series as usize];
        let Sums::Histogram { native, .. } = sums else { return None };
        let native = native.get_or_insert_with(|| {
            self.version += 1;
            self.families[*family as usize].has_natives = true;
            self.natives.add()
        });
        Some(*native)
    }

    /// The buckets of native histograms.
    pub(crate) fn natives(&self) -> &NativeBuckets {
        &self.natives
    }

    /// The same, to add to them: that changes nothing of what is shown.
    pub(crate) fn natives_mut(&mut self) -> &mut NativeBuckets {
        &mut self.natives
    }

    fn new_gauge(&mut self) -> GaugeSlot {
        self.gauges += 1;
        self.gauges - 1
    }

    fn new_slots(&mut self, count: Slot) -> Slot {
        let first = self.slots;
        self.slots += count;
        first
    }
}

/// Families, series and slots are numbered by 32 bits: four billion fit no machine's memory.
fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_name_and_kind_and_a_series_its_labels() {
        let mut index = Index::default();
        let counter = index.intern_family("x", Kind::Counter);
        let gauge = index.intern_family("x", Kind::Gauge);
        assert_ne!(counter, gauge);
        assert_eq!(index.intern_family("x", Kind::Counter), counter);
        let series: Vec<_> = (0..1000).map(|n: u32| index.intern_series(counter, &n.to_be_bytes())).collect();
        let again: Vec<_> = (0..1000).map(|n: u32| index.intern_series(counter, &n.to_be_bytes())).collect();
        assert_eq!(series, again);
        assert_ne!(index.intern_series(gauge, &0_u32.to_be_bytes()), series[0]);
        assert_eq!(index.slots(), 1000);
    }

    #[test]
    fn buckets_are_the_union_of_all_bounds_in_order() {
        let mut index = Index::default();
        let family = index.intern_family("h", Kind::Histogram);
        let series = index.intern_series(family, b"");
        let slots: Vec<_> = [1.0, f64::INFINITY, 0.5, 2.0, 0.0, -0.0, 1.0]
            .map(|bound| index.intern_bucket(series, bound))
            .into();
        assert_eq!((slots[0], slots[4]), (slots[6], slots[5]));
        let Sums::Histogram { buckets, .. } = &index.series(series).sums else { panic!() };
        let bounds: Vec<_> = buckets.iter().map(|(bound, _)| *bound).collect();
        assert_eq!(bounds, [0.0, 0.5, 1.0, 2.0, f64::INFINITY]);
    }

    #[test]
    fn which_help_text_is_kept_does_not_depend_on_the_order() {
        for order in [["b", "a", ""], ["", "b", "a"], ["a", "", "b"]] {
            let mut index = Index::default();
            let family = index.intern_family("x", Kind::Gauge);
            order.into_iter().for_each(|help| index.add_help(family, help));
            assert_eq!(&*index.family(family).help, "a");
        }
    }
}
