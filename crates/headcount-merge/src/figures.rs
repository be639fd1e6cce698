//! The numbers of an exposition, in the order in which every format shows them.
//!
//! They are taken from what was merged once for all formats that are asked for, and compared with those before: what
//! has not changed need not be written again. Families in which more may change than numbers, those that are
//! [listed](crate::index::FamilyEntry::is_listed), have none here: they are written sample by sample.

use std::ops::Range;

use headcount_store::text::Value;

use crate::exemplars::Exemplars;
use crate::gauge::{GaugeSlot, Gauges};
use crate::index::{Index, Sums};
use crate::totals::{Slot, Sum, Totals};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Those of each family, by its number in the index.
    ranges: Vec<Option<Range<usize>>>,
    sources: Vec<Source>,
    /// The values, as their bits, and what they are.
    bits: Vec<u64>,
    forms: Vec<Form>,
    /// Whether a value is another than it was when figures were taken the time before.
    changed: Vec<bool>,
    /// How often figures were taken.
    takes: u64,
}

/// Where a figure comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// Nowhere: it stands for the head of a family.
    Head,
    /// A sum that never falls: a counter, or that of a summary.
    Sum(Slot),
    /// The count of a summary, whose sum follows.
    Count(Slot),
    /// The sum of a histogram, whose buckets follow.
    HistogramSum(Slot),
    /// A bucket, which holds what the smaller ones hold.
    Bucket(Slot),
    /// The last bucket or the count: what all buckets hold.
    AllBuckets,
    /// A gauge.
    Gauge(GaugeSlot),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// There is no value: a head, or a gauge that nobody who counts has set.
    None,
    Integer,
    Float,
}

/// The figures of a series, in order.
fn push_sources(sums: &Sums, mut push: impl FnMut(Source)) {
    match sums {
        &Sums::One(slot) => push(Source::Sum(slot)),
        &Sums::Gauge(slot) => push(Source::Gauge(slot)),
        &Sums::Summary { sum, count } => [Source::Count(count), Source::Sum(sum)].into_iter().for_each(push),
        Sums::Histogram { sum, buckets, .. } => {
            push(Source::HistogramSum(*sum));
            buckets.iter().for_each(|&(_, slot)| push(Source::Bucket(slot)));
            if buckets.last().is_none_or(|&(bound, _)| bound != f64::INFINITY) {
                push(Source::AllBuckets);
            }
            push(Source::AllBuckets);
        }
        // Its families are written sample by sample.
        Sums::GaugeHistogram { .. } => {}
    }
}

impl Sums {
    /// How many figures a series has.
    pub(crate) fn figures(&self) -> usize {
        let mut count = 0;
        push_sources(self, |_| count += 1);
        count
    }
}

impl Figures {
    /// Begins again, with those of these families, but for the series that are hidden.
    pub(crate) fn reset(&mut self, families: &[u32], hidden: &[u32], index: &Index) {
        self.sources.clear();
        self.ranges.clear();
        self.ranges.resize(index.families().len(), None);
        for &family in families {
            let entry = index.family(family);
            if !entry.is_listed() {
                let start = self.sources.len();
                self.sources.push(Source::Head);
                let is_shown = |series: &&u32| hidden.binary_search(series).is_err();
                for &series in entry.series.iter().filter(is_shown) {
                    push_sources(&index.series(series).sums, |source| self.sources.push(source));
                }
                self.ranges[family as usize] = Some(start..self.sources.len());
            }
        }
    }

    /// Those of a family: one for its head, then those of its series; `None` if it is to be written sample by sample.
    pub(crate) fn of(&self, family: u32) -> Option<Range<usize>> {
        self.ranges[family as usize].clone()
    }

    /// Takes all values anew, and notes which have changed.
    pub(crate) fn take(&mut self, totals: &Totals, gauges: &Gauges) {
        self.takes += 1;
        self.bits.resize(self.sources.len(), 0);
        self.forms.resize(self.sources.len(), Form::None);
        self.changed.resize(self.sources.len(), true);
        let mut buckets = Sum::default();
        let known = self.bits.iter_mut().zip(&mut self.forms).zip(&mut self.changed);
        for (&source, ((bits, form), changed)) in self.sources.iter().zip(known) {
            let value = match source {
                Source::Head => None,
                Source::Sum(slot) | Source::Count(slot) => Some(totals.get(slot)),
                Source::HistogramSum(slot) => {
                    buckets = Sum::default();
                    Some(totals.get(slot))
                }
                Source::Bucket(slot) => {
                    buckets.add(totals.parts(slot));
                    Some(buckets.value())
                }
                Source::AllBuckets => Some(buckets.value()),
                Source::Gauge(slot) => gauges.get(slot).map(Value::Float),
            };
            let new = match value {
                None => (Form::None, 0),
                Some(Value::Integer(value)) => (Form::Integer, value),
                Some(Value::Float(value)) => (Form::Float, value.to_bits()),
            };
            *changed = new != (*form, *bits);
            (*form, *bits) = new;
        }
    }

    /// The families whose figures have exemplars.
    pub(crate) fn families_with(&self, exemplars: &Exemplars) -> Vec<u32> {
        if exemplars.are_none() {
            return Vec::new();
        }
        let has_exemplar = |source: &Source| match *source {
            Source::Sum(slot) | Source::Bucket(slot) => exemplars.get(slot).is_some(),
            _ => false,
        };
        let families = (0..).zip(&self.ranges).filter_map(|(family, range)| Some((family, range.clone()?)));
        let with = families.filter(|(_, range)| self.sources[range.clone()].iter().any(has_exemplar));
        with.map(|(family, _)| family).collect()
    }

    /// How often figures were taken.
    pub(crate) fn takes(&self) -> u64 {
        self.takes
    }

    /// Whether a series begins with this figure, or a family.
    pub(crate) fn is_first(&self, at: usize) -> bool {
        match self.sources[at] {
            Source::Head | Source::Gauge(_) | Source::Count(_) | Source::HistogramSum(_) => true,
            Source::Sum(_) => at == 0 || !matches!(self.sources[at - 1], Source::Count(_)),
            Source::Bucket(_) | Source::AllBuckets => false,
        }
    }

    /// The value; `None` for a head, and for a gauge that nobody who counts has set.
    pub(crate) fn get(&self, at: usize) -> Option<Value> {
        match self.forms[at] {
            Form::None => None,
            Form::Integer => Some(Value::Integer(self.bits[at])),
            Form::Float => Some(Value::Float(f64::from_bits(self.bits[at]))),
        }
    }

    /// Of these figures, which have changed since they were taken the time before.
    pub(crate) fn changed(&self, range: Range<usize>) -> &[bool] {
        &self.changed[range]
    }

    /// Whether these figures, those of whole series, are what counters and histograms can have: counts are whole,
    /// nothing is below zero, and no bucket holds less than a smaller one.
    pub(crate) fn are_counts(&self, range: Range<usize>) -> bool {
        let mut below = Value::Integer(0);
        range.into_iter().all(|at| {
            let (source, Some(value)) = (self.sources[at], self.get(at)) else { return true };
            let number = value.to_f64();
            let is_count = number >= 0.0 && number.fract() == 0.0;
            match source {
                Source::Head | Source::Gauge(_) => true,
                Source::Sum(_) => number >= 0.0,
                Source::HistogramSum(_) => {
                    below = Value::Integer(0);
                    number >= 0.0
                }
                Source::Count(_) => is_count,
                Source::Bucket(_) | Source::AllBuckets => {
                    let falls = value.is_below(below);
                    below = value;
                    is_count && !falls
                }
            }
        })
    }
}
