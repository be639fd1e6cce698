//! The result of a merge: families in the order of their names, series in the order of their labels.
//!
//! Processes need not agree. Families that would expose samples of the same name cannot both be shown:
//! histograms and summaries, which claim several names, go before counters, and those before gauges;
//! among equals, the first by name stays. What is left out is reported.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt;

use headcount_store::FileError;
use headcount_store::metric::Kind;
use headcount_store::text::{Value, write_metric_name};

use crate::gauge::{BySeries, merge};
use crate::index::{Index, Sums};
use crate::labels;
use crate::process::Processes;
use crate::text::Buckets;
use crate::totals::{Slot, Sum, Totals};

/// What all processes together have counted and set.
#[derive(Debug)]
pub struct Merged<'a> {
    index: &'a Index,
    totals: &'a Totals,
    processes: &'a Processes,
    families: Vec<Listed>,
    report: Report,
}

/// What there is to say about a merge beside its result.
#[derive(Debug, Default)]
pub struct Report {
    /// Files that were not read, in the order in which they were found.
    pub skipped: Vec<Skipped>,
    /// Families that were left out.
    pub conflicts: Vec<Conflict>,
    /// Files that were read.
    pub files: FileCounts,
    /// What processes could not record.
    pub lost: Lost,
}

/// How many files were read, by the client that wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Ours.
    pub own: usize,
    /// Those of Python's client, and those without entries.
    pub python: usize,
    /// Those of Ruby's client.
    pub ruby: usize,
    /// Files of dead processes that the archives among ours were folded from, over time.
    pub folded: u64,
}

/// What processes could not record, for want of space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Attempts to create a series.
    pub series: u64,
    /// Updates.
    pub updates: u64,
}

/// A file that was not read.
#[derive(Debug)]
pub struct Skipped {
    /// Its name in the directory.
    pub name: OsString,
    /// Why not.
    pub error: FileError,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped {}: {}", self.name.display(), self.error)?;
        match std::error::Error::source(&self.error) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

/// A family that was left out, because another one exposes samples of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The family's name.
    pub family: String,
    /// Its kind.
    pub kind: Kind,
    /// The family that stayed.
    pub other: String,
    /// The kind of that.
    pub other_kind: Kind,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, kind, other, other_kind } = self;
        write!(f, "left out {kind} {family}: {other_kind} {other} has samples of the same name")
    }
}

#[derive(Debug)]
struct Listed {
    family: u32,
    series: Vec<ListedSeries>,
}

#[derive(Debug)]
struct ListedSeries {
    series: u32,
    /// For a gauge, its value.
    value: f64,
    /// For a gauge of which each process is shown, the process.
    process: Option<u32>,
}

impl<'a> Merged<'a> {
    /// The result of an index that is sorted, totals for all its slots and processes that are labelled.
    pub(crate) fn new(
        index: &'a Index,
        totals: &'a Totals,
        readings: &BySeries,
        processes: &'a Processes,
        mut report: Report,
    ) -> Self {
        let list = |family| {
            let entry = index.family(family);
            let mut listed = Vec::with_capacity(entry.series.len());
            for &series in &entry.series {
                let mut add = |process, value| listed.push(ListedSeries { series, value, process });
                match entry.kind {
                    Kind::Gauge => merge(entry.mode, readings.of(series), processes, add),
                    _ => add(None, 0.0),
                }
            }
            if entry.has_odd_labels {
                keep_distinct(&mut listed, index);
            }
            Listed { family, series: listed }
        };
        let families = exposed_families(index, &mut report.conflicts).into_iter().map(list).collect();
        Self { index, totals, processes, families, report }
    }

    /// The families, in the order of their names.
    pub fn families(&self) -> impl Iterator<Item = Family<'_>> {
        self.families.iter().map(|listed| Family { merged: self, listed })
    }

    /// About how long the text will be, in bytes: to ask for memory once is half of writing it.
    pub(crate) fn expected_text_len(&self) -> usize {
        /// Braces, suffix, bound and value.
        const REST: usize = 32;
        let labels = self.index.mean_spelled_len();
        let len = |listed: &Listed| {
            let lines = match listed.series.first().map(|first| &self.index.series(first.series).sums) {
                Some(Sums::Histogram { buckets, .. }) => buckets.len() + 3,
                Some(Sums::Summary { .. }) => 2,
                _ => 1,
            };
            let family = self.index.family(listed.family);
            listed.series.len() * lines * (family.name.len() + labels + REST) + family.help.len() + 64
        };
        self.families.iter().map(len).sum()
    }

    /// What there is to say beside the result.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// Leaves out series whose labels are spelled as those of another one.
fn keep_distinct(listed: &mut Vec<ListedSeries>, index: &Index) {
    let mut spellings = HashSet::new();
    listed.retain(|listed| spellings.insert((index.spelled(listed.series), listed.process)));
}

/// The families that do not get into each other's way, by name.
fn exposed_families(index: &Index, conflicts: &mut Vec<Conflict>) -> Vec<u32> {
    let precedence = |kind| match kind {
        Kind::Histogram => 0,
        Kind::Summary => 1,
        Kind::Counter => 2,
        Kind::Gauge => 3,
    };
    let mut families: Vec<_> = (0..).zip(index.families()).collect();
    families.sort_unstable_by_key(|(_, entry)| (precedence(entry.kind), &entry.name));
    let mut claimed: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut exposed = Vec::new();
    for (family, entry) in families {
        let names: Vec<Vec<u8>> = claims(entry.kind)
            .iter()
            .map(|suffix| {
                let mut name = Vec::new();
                write_metric_name(&mut name, &entry.name);
                name.extend(suffix.as_bytes());
                name
            })
            .collect();
        match names.iter().find_map(|name| claimed.get(name)) {
            Some(&other) => {
                let other = index.family(other);
                conflicts.push(Conflict {
                    family: entry.name.to_string(),
                    kind: entry.kind,
                    other: other.name.to_string(),
                    other_kind: other.kind,
                });
            }
            None => {
                claimed.extend(names.into_iter().map(|name| (name, family)));
                exposed.push(family);
            }
        }
    }
    exposed.sort_unstable_by_key(|&family| &index.family(family).name);
    exposed
}

/// The endings of the names that a family claims, behind its exposed name.
fn claims(kind: Kind) -> &'static [&'static str] {
    match kind {
        // The exposed name of a counter has its ending already.
        Kind::Counter | Kind::Gauge => &[""],
        Kind::Histogram | Kind::Summary => kind.sample_suffixes(),
    }
}

/// A family of the result.
#[derive(Clone, Copy, Debug)]
pub struct Family<'a> {
    merged: &'a Merged<'a>,
    listed: &'a Listed,
}

/// Families without a help text get the one of Ruby's client, whose files hold none.
const NO_HELP: &str = "Multiprocess metric";

impl<'a> Family<'a> {
    /// The name, with `_total` for most counters. It may be any text: not every client checks.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.merged.index.family(self.listed.family).name
    }

    /// The help text.
    #[must_use]
    pub fn help(&self) -> &'a str {
        match &*self.merged.index.family(self.listed.family).help {
            "" => NO_HELP,
            help => help,
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.merged.index.family(self.listed.family).kind
    }

    /// Whether the names of all labels are what every reader takes for one.
    pub(crate) fn has_plain_labels(&self) -> bool {
        !self.merged.index.family(self.listed.family).has_odd_labels
    }

    /// The series, in the order of their labels. A gauge that no process set has none.
    pub fn series(&self) -> impl Iterator<Item = Series<'a>> + use<'a> {
        let Self { merged, listed } = *self;
        listed.series.iter().map(move |listed| Series { merged, listed })
    }
}

/// A series of the result.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    merged: &'a Merged<'a>,
    listed: &'a ListedSeries,
}

/// What a series has come to.
#[derive(Clone, Copy, Debug)]
pub enum SeriesValue<'a> {
    /// Of a counter or gauge.
    Number(Value),
    /// Of a summary.
    Summary {
        /// How many observations there were.
        count: Value,
        /// Their sum.
        sum: Value,
    },
    /// Of a histogram.
    Histogram(Histogram<'a>),
}

impl<'a> Series<'a> {
    /// The labels as an exposition spells them, unless one is added that only this merge knows.
    pub(crate) fn spelled(&self) -> Option<&'a [u8]> {
        self.listed.process.is_none().then(|| self.merged.index.spelled(self.listed.series))
    }

    /// The labels, in the order of their names, `pid` among them where the gauge's mode adds it.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let merged = self.merged;
        let mut pid = self.listed.process.map(|process| merged.processes.label(process));
        let mut labels = labels::decode(merged.index.labels(self.listed.series)).peekable();
        std::iter::from_fn(move || {
            if labels.peek().is_none_or(|(name, _)| **name > *"pid")
                && let Some(pid) = pid.take()
            {
                return Some((Cow::Borrowed("pid"), Cow::Borrowed(pid)));
            }
            labels.next()
        })
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> SeriesValue<'a> {
        let Self { merged, listed } = *self;
        let totals = &merged.totals;
        match &merged.index.series(listed.series).sums {
            Sums::None => SeriesValue::Number(Value::Float(listed.value)),
            Sums::One(slot) => SeriesValue::Number(totals.get(*slot)),
            Sums::Summary { sum, count } => {
                SeriesValue::Summary { count: totals.get(*count), sum: totals.get(*sum) }
            }
            Sums::Histogram { sum, buckets } => {
                SeriesValue::Histogram(Histogram { totals, sum: *sum, buckets })
            }
        }
    }
}

/// A histogram of the result.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    totals: &'a Totals,
    sum: Slot,
    buckets: &'a [(f64, Slot)],
}

impl<'a> Histogram<'a> {
    /// The sum of the observations.
    #[must_use]
    pub fn sum(&self) -> Value {
        self.totals.get(self.sum)
    }

    /// How many observations there were: the sum of the buckets.
    #[must_use]
    pub fn count(&self) -> Value {
        let mut count = Sum::default();
        self.buckets.iter().for_each(|&(_, slot)| count.add(self.totals.parts(slot)));
        count.value()
    }

    /// The buckets by upper bound, ascending. Cumulative ones end with `+Inf`.
    pub fn buckets(&self, kind: Buckets) -> impl Iterator<Item = (f64, Value)> + use<'a> {
        let Self { totals, buckets, .. } = *self;
        let has_infinity = buckets.last().is_some_and(|&(bound, _)| bound == f64::INFINITY);
        let missing = (!has_infinity && kind == Buckets::Cumulative).then_some((f64::INFINITY, None));
        let mut below = Sum::default();
        buckets.iter().map(|&(bound, slot)| (bound, Some(slot))).chain(missing).map(move |(bound, slot)| {
            let own = slot.map_or_else(Sum::default, |slot| totals.parts(slot));
            match kind {
                Buckets::PerBucket => (bound, own.value()),
                Buckets::Cumulative => {
                    below.add(own);
                    (bound, below.value())
                }
            }
        })
    }
}
