//! What of an exposition stays the same from one merge to the next, written once.
//!
//! Most of an exposition's bytes are names and labels. They are kept in the order in which they are exposed, a
//! line's after the other's, with the place where its value comes from. To write an exposition is then to copy
//! and to format. Families in which not even the lines stay the same are written sample by sample: gauges that
//! show each process, infos and gauge histograms, and those of whose labels some are spelled alike.

use headcount_store::metric::GaugeMode;
use headcount_store::text::{Sample, Value, write_bound, write_family, write_metric_name, write_value};

use crate::conflict::{Conflict, exposed_families};
use crate::gauge::GaugeSlot;
use crate::index::{Index, Sums};
use crate::merged::{Family, Listed, Parts};
use crate::text::{Buckets, Writer};
use crate::totals::{Slot, Sum};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Rendering {
    /// What it was made of: the version of the index, the mode of each family, and the series that are not shown.
    version: u64,
    modes: Vec<GaugeMode>,
    hidden: Vec<u32>,
    exposed: Vec<u32>,
    conflicts: Vec<Conflict>,
    /// What stands before the values.
    fixed: Vec<u8>,
    lines: Vec<Line>,
}

/// A line: how long what stands before its value is, and where that comes from.
#[derive(Clone, Copy, Debug)]
struct Line {
    len: u32,
    value: LineValue,
}

/// Where a line's value comes from.
#[derive(Clone, Copy, Debug)]
enum LineValue {
    /// It has none: these are other lines.
    None,
    /// A sum by itself.
    Sum(Slot),
    /// The sum of a histogram, whose buckets follow.
    HistogramSum(Slot),
    /// A bucket, which holds what the smaller ones hold.
    Bucket(Slot),
    /// The last bucket or the count: what all buckets hold.
    AllBuckets,
    /// A gauge; without a value there is no line.
    Gauge(GaugeSlot),
    /// A whole family, which is written sample by sample.
    Family(u32),
}

impl Rendering {
    /// Makes it again, if it is not of this index as it is. The index is sorted.
    pub(crate) fn refresh(&mut self, index: &Index, hidden: &[u32]) {
        let modes = index.families().iter().map(|family| family.mode);
        let same = (self.version, &*self.hidden) == (index.version(), hidden);
        if same && self.modes.iter().copied().eq(modes.clone()) {
            return;
        }
        self.hidden = hidden.to_vec();
        self.version = index.version();
        self.modes.clear();
        self.modes.extend(modes);
        self.conflicts.clear();
        self.exposed = exposed_families(index, &mut self.conflicts);
        self.fixed.clear();
        self.lines.clear();
        for at in 0..self.exposed.len() {
            self.add_family(self.exposed[at], index);
        }
    }

    /// About how long an exposition is, in bytes.
    pub(crate) fn expected_len(&self) -> usize {
        /// About what a value takes, with its line's end.
        const VALUE: usize = 12;
        self.fixed.len() + self.lines.len() * VALUE
    }

    /// The families that are exposed, by name.
    pub(crate) fn exposed(&self) -> &[u32] {
        &self.exposed
    }

    /// The families that are not.
    pub(crate) fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    fn add_family(&mut self, family: u32, index: &Index) {
        let entry = index.family(family);
        if entry.is_listed() {
            return self.end_line(self.fixed.len(), LineValue::Family(family));
        }
        let start = self.fixed.len();
        write_family(&mut self.fixed, &entry.name, entry.help_or_default(), entry.kind);
        self.end_line(start, LineValue::None);
        let mut name = Vec::new();
        write_metric_name(&mut name, &entry.name);
        let mut labels = Vec::new();
        for &series in &entry.series {
            if self.hidden.binary_search(&series).is_ok() {
                continue;
            }
            labels.clear();
            index.spell(series, &mut labels);
            self.add_series(&name, &labels, &index.series(series).sums);
        }
    }

    fn add_series(&mut self, name: &[u8], labels: &[u8], sums: &Sums) {
        let sample = |suffix| Sample { family: name, suffix, labels, bound: None };
        match sums {
            &Sums::One(slot) => self.add_line(sample(""), LineValue::Sum(slot)),
            &Sums::Gauge(slot) => self.add_line(sample(""), LineValue::Gauge(slot)),
            &Sums::Summary { sum, count } => {
                self.add_line(sample("_count"), LineValue::Sum(count));
                self.add_line(sample("_sum"), LineValue::Sum(sum));
            }
            // Is written sample by sample.
            Sums::GaugeHistogram { .. } => {}
            Sums::Histogram { sum, buckets } => {
                self.add_line(sample("_sum"), LineValue::HistogramSum(*sum));
                let mut spelled = Vec::new();
                for &(bound, slot) in buckets {
                    spelled.clear();
                    write_bound(&mut spelled, bound);
                    let bucket = Sample { bound: Some(&spelled), ..sample("_bucket") };
                    self.add_line(bucket, LineValue::Bucket(slot));
                }
                if buckets.last().is_none_or(|&(bound, _)| bound != f64::INFINITY) {
                    let bucket = Sample { bound: Some(b"+Inf"), ..sample("_bucket") };
                    self.add_line(bucket, LineValue::AllBuckets);
                }
                self.add_line(sample("_count"), LineValue::AllBuckets);
            }
        }
    }

    fn add_line(&mut self, sample: Sample<'_>, value: LineValue) {
        let start = self.fixed.len();
        sample.write_key(&mut self.fixed);
        self.end_line(start, value);
    }

    fn end_line(&mut self, start: usize, value: LineValue) {
        // Names and labels come from records and keys, whose lengths are 32 bits.
        let len = u32::try_from(self.fixed.len() - start).unwrap_or(u32::MAX);
        self.lines.push(Line { len, value });
    }

    /// The exposition, in the text format 0.0.4.
    pub(crate) fn to_text(&self, parts: Parts<'_>) -> Vec<u8> {
        let Parts { totals, gauges, .. } = parts;
        // To ask for memory once is half of writing.
        let mut out = Vec::with_capacity(self.expected_len());
        let mut buckets = Sum::default();
        let mut rest = &*self.fixed;
        for &Line { len, value } in &self.lines {
            let (fixed, after) = rest.split_at((len as usize).min(rest.len()));
            rest = after;
            let value = match value {
                LineValue::Sum(slot) => totals.get(slot),
                LineValue::HistogramSum(slot) => {
                    buckets = Sum::default();
                    totals.get(slot)
                }
                LineValue::Bucket(slot) => {
                    buckets.add(totals.parts(slot));
                    buckets.value()
                }
                LineValue::AllBuckets => buckets.value(),
                LineValue::Gauge(slot) => match gauges.get(slot) {
                    Some(value) => Value::Float(value),
                    None => continue,
                },
                LineValue::None => {
                    out.extend_from_slice(fixed);
                    continue;
                }
                LineValue::Family(family) => {
                    let mut writer = Writer::continuing(out, Buckets::Cumulative);
                    writer.family(Family::new(parts, &Listed::new(family, parts)));
                    out = writer.finish();
                    continue;
                }
            };
            out.extend_from_slice(fixed);
            write_value(&mut out, value);
            out.push(b'\n');
        }
        out
    }
}
