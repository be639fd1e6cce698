//! The result of a merge: families in the order of their names, series in the order of their labels.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;
use std::time::Duration;

use headcount_store::metric::{GaugeMerge, Kind};
use headcount_store::text::{Value, write_plain_labels};

use crate::encode::{Exposition, Format};
use crate::exemplars::{Exemplar, Exemplars};
use crate::gauge::Gauges;
use crate::histogram::{Histogram, Numbers};
use crate::index::{Index, Sums};
use crate::labels;
use crate::lives::LifeParts;
use crate::native_totals::NativeTotals;
use crate::process::Processes;
use crate::reading::{ByGauge, Infos, one_for_each};
use crate::rendering::Rendering;
use crate::report::Report;
use crate::text::{Buckets, Writer};
use crate::totals::Totals;

/// What all processes together have counted and set.
#[derive(Debug)]
pub struct Merged<'a> {
    parts: Parts<'a>,
    rendering: &'a Rendering,
    /// The series of the families that are exposed, once somebody has asked for them.
    families: OnceCell<Vec<Listed>>,
    report: Report,
}

/// What a result is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    /// Sorted.
    pub(crate) index: &'a Index,
    /// Of all its slots.
    pub(crate) totals: &'a Totals,
    pub(crate) natives: &'a NativeTotals,
    pub(crate) gauges: &'a Gauges,
    /// Of gauges that show each process by itself.
    pub(crate) readings: &'a ByGauge,
    /// Labelled.
    pub(crate) processes: &'a Processes,
    pub(crate) lives: LifeParts<'a>,
    pub(crate) exemplars: &'a Exemplars,
}

impl<'a> Parts<'a> {
    /// Of a counter, by its number in the index, the newest exemplar.
    pub(crate) fn exemplar(self, series: u32) -> Option<Exemplar<'a>> {
        match self.index.series(series).sums {
            Sums::One(slot) => self.exemplars.get(slot),
            _ => None,
        }
    }

    /// What a series has come to, by its number in the index; what a gauge has come to is to be said.
    pub(crate) fn value(self, series: u32, gauge: f64) -> SeriesValue<'a> {
        let Self { index, totals, natives, gauges, exemplars, .. } = self;
        match &index.series(series).sums {
            Sums::Gauge(_) => SeriesValue::Number(Value::Float(gauge)),
            Sums::One(slot) => SeriesValue::Number(totals.get(*slot)),
            Sums::Summary { sum, count } => {
                SeriesValue::Summary { count: totals.get(*count), sum: totals.get(*sum) }
            }
            Sums::Histogram { sum, buckets, native } => {
                let native = native.and_then(|native| Some((native, natives.get(native, index.natives())?)));
                let numbers = Numbers::Summed(totals);
                SeriesValue::Histogram(Histogram { numbers, exemplars, sum: *sum, buckets, native })
            }
            Sums::GaugeHistogram { sum, buckets } => {
                let numbers = Numbers::Set(gauges);
                SeriesValue::Histogram(Histogram { numbers, exemplars, sum: *sum, buckets, native: None })
            }
        }
    }
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
    pub(crate) fn new(parts: Parts<'a>, rendering: &'a Rendering, mut report: Report) -> Self {
        report.conflicts = rendering.conflicts().to_vec();
        Self { parts, rendering, families: OnceCell::new(), report }
    }

    /// The families, in the order of their names.
    pub fn families(&self) -> impl Iterator<Item = Family<'_>> {
        let list = || self.rendering.exposed().iter().map(|&family| self.list(family)).collect();
        self.families.get_or_init(list).iter().map(|listed| self.family(listed))
    }

    /// The series of one family, by its number in the index.
    pub(crate) fn list(&self, family: u32) -> Listed {
        Listed::new(family, self.parts)
    }

    pub(crate) fn family<'b>(&'b self, listed: &'b Listed) -> Family<'b> {
        Family { parts: self.parts, listed }
    }

    pub(crate) fn parts(&self) -> Parts<'a> {
        self.parts
    }

    pub(crate) fn rendering(&self) -> &'a Rendering {
        self.rendering
    }

    /// The result in the text format 0.0.4.
    #[must_use]
    pub fn to_text(&self, buckets: Buckets) -> Vec<u8> {
        match buckets {
            Buckets::Cumulative => self.encode(&Exposition::new(Format::Text)),
            Buckets::PerBucket => {
                let mut writer = Writer::new(buckets);
                self.families().for_each(|family| writer.family(family));
                writer.finish()
            }
        }
    }

    /// What there is to say beside the result.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// A family's series that have a value.
#[derive(Debug)]
pub(crate) struct Listed {
    family: u32,
    series: Vec<ListedSeries>,
}

impl Listed {
    pub(crate) fn new(family: u32, parts: Parts<'_>) -> Self {
        let entry = parts.index.family(family);
        let mut listed = Vec::with_capacity(entry.series.len());
        let infos = Infos::of(entry, parts.index, parts.readings, parts.processes);
        for &series in entry.series.iter().filter(|&&series| !parts.lives.is_hidden(series)) {
            let mut add = |process, value| listed.push(ListedSeries { series, value, process });
            match parts.index.series(series).sums {
                Sums::Gauge(slot) if entry.kind == Kind::Info => {
                    let holder = infos.holder(slot, parts.readings, parts.processes);
                    holder.into_iter().for_each(|_| add(None, 1.0));
                }
                Sums::Gauge(slot) if entry.mode.merge() == GaugeMerge::All => {
                    one_for_each(parts.readings.of(slot), parts.processes, |process, value| {
                        add(Some(process), value);
                    });
                }
                Sums::Gauge(slot) => parts.gauges.get(slot).into_iter().for_each(|value| add(None, value)),
                Sums::GaugeHistogram { sum, .. } if parts.gauges.get(sum).is_none() => {}
                _ => add(None, 0.0),
            }
        }
        if entry.has_odd_labels {
            keep_distinct(&mut listed, parts.index);
        }
        Self { family, series: listed }
    }
}

/// Leaves out series whose labels are spelled as those of another one.
fn keep_distinct(listed: &mut Vec<ListedSeries>, index: &Index) {
    let mut spellings = HashSet::new();
    listed.retain(|listed| {
        let mut spelled = Vec::new();
        index.spell(listed.series, &mut spelled);
        spellings.insert((spelled, listed.process))
    });
}

/// A family of the result.
#[derive(Clone, Copy, Debug)]
pub struct Family<'a> {
    parts: Parts<'a>,
    listed: &'a Listed,
}

impl<'a> Family<'a> {
    /// Its number in the index.
    pub(crate) fn number(&self) -> u32 {
        self.listed.family
    }

    /// The name, with `_total` for most counters and `_info` for infos. It may be any text: not every client checks.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.parts.index.family(self.listed.family).name
    }

    /// The help text.
    #[must_use]
    pub fn help(&self) -> &'a str {
        self.parts.index.family(self.listed.family).help_or_default()
    }

    /// The unit, with which the name ends; `None` if nobody has said one.
    #[must_use]
    pub fn unit(&self) -> Option<&'a str> {
        Some(&*self.parts.index.family(self.listed.family).unit).filter(|unit| !unit.is_empty())
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.parts.index.family(self.listed.family).kind
    }

    /// Whether the names of all labels are what every reader takes for one.
    pub(crate) fn has_plain_labels(&self) -> bool {
        !self.parts.index.family(self.listed.family).has_odd_labels
    }

    /// The series, in the order of their labels. A gauge that no process set has none.
    pub fn series(&self) -> impl Iterator<Item = Series<'a>> + use<'a> {
        let Self { parts, listed } = *self;
        listed.series.iter().map(move |listed| Series { parts, listed })
    }
}

/// A series of the result.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    parts: Parts<'a>,
    listed: &'a ListedSeries,
}

/// What a series has come to.
#[derive(Clone, Copy, Debug)]
pub enum SeriesValue<'a> {
    /// Of a counter, gauge, info or state.
    Number(Value),
    /// Of a summary.
    Summary {
        /// How many observations there were.
        count: Value,
        /// Their sum.
        sum: Value,
    },
    /// Of a histogram or gauge histogram.
    Histogram(Histogram<'a>),
}

impl<'a> Series<'a> {
    /// The labels, in the order of their names, `pid` among them where the gauge's mode adds it; what names a state
    /// comes last.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let Parts { index, processes, .. } = self.parts;
        let mut pid = self.listed.process.map(|process| processes.label(process));
        let mut labels = labels::decode(index.labels(self.listed.series)).peekable();
        std::iter::from_fn(move || {
            if labels.peek().is_none_or(|(name, _)| **name > *"pid")
                && let Some(pid) = pid.take()
            {
                return Some((Cow::Borrowed("pid"), Cow::Borrowed(pid)));
            }
            labels.next()
        })
    }

    /// Appends the labels as an exposition spells them, if their names are what every reader takes for one.
    pub(crate) fn spell_plain(&self, out: &mut Vec<u8>) {
        match self.listed.process {
            None => labels::spell_plain(self.parts.index.labels(self.listed.series), out),
            Some(_) => write_plain_labels(out, self.labels()),
        }
    }

    /// How long after 1970 the first process began to count it; `None` for a gauge, and where a process that counts
    /// it does not say.
    #[must_use]
    pub fn created(&self) -> Option<Duration> {
        let Parts { index, lives, .. } = self.parts;
        let is_counted = match index.family(index.series(self.listed.series).family).kind {
            Kind::Counter | Kind::Histogram | Kind::Summary => true,
            Kind::Gauge | Kind::GaugeHistogram | Kind::Info | Kind::StateSet => false,
        };
        lives.created(self.listed.series).filter(|_| is_counted)
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> SeriesValue<'a> {
        self.parts.value(self.listed.series, self.listed.value)
    }

    /// Of a counter, the newest exemplar.
    #[must_use]
    pub fn exemplar(&self) -> Option<Exemplar<'a>> {
        self.parts.exemplar(self.listed.series)
    }
}
