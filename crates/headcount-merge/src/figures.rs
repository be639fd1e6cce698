//! The numbers of an exposition, in the order in which every format shows them.
//!
//! They are taken from what was merged once for all formats that are asked for, and compared with those before: what
//! has not changed need not be written again. Families in which more may change than numbers, those that are
//! [listed](crate::index::FamilyEntry::is_listed), have none here: they are written sample by sample.

use std::ops::Range;

use headcount_store::metric::Kind;
use headcount_store::text::Value;

use crate::exemplars::Exemplars;
use crate::gauge::Gauges;
use crate::index::{Index, Sums};
use crate::totals::{Sum, Totals};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Those of each family, by its number in the index.
    ranges: Vec<Option<Range<usize>>>,
    /// The families that have figures, in the order of those.
    runs: Vec<Run>,
    /// Where each comes from: a slot, of a gauge or a sum; [`NOWHERE`] for the head of a family.
    sources: Vec<u32>,
    /// The values, as their bits, and what they are.
    bits: Vec<u64>,
    forms: Vec<Form>,
    marks: Vec<u8>,
    /// How often figures were taken.
    takes: u64,
}

/// The figures of a family: one for its head, then those of its series.
#[derive(Debug)]
struct Run {
    family: u32,
    kind: Kind,
    range: Range<usize>,
}

/// The source of a head; and of a histogram's last bucket or count, which hold what all buckets hold. These end its
/// series.
const NOWHERE: u32 = u32::MAX;

/// Marks a value that is another than it was when figures were taken the time before …
const CHANGED: u8 = 1;
/// … and one that no counter, histogram or summary can have.
const UNFIT: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// There is no value: a head, or a gauge that nobody who counts has set.
    None,
    Integer,
    Float,
}

impl Form {
    fn of(self, bits: u64) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Integer => Some(Value::Integer(bits)),
            Self::Float => Some(Value::Float(f64::from_bits(bits))),
        }
    }
}

/// The sources of a series' figures, in order.
fn push_sources(sums: &Sums, mut push: impl FnMut(u32)) {
    match sums {
        &Sums::One(slot) => push(slot),
        &Sums::Gauge(slot) => push(slot),
        &Sums::Summary { sum, count } => [count, sum].into_iter().for_each(push),
        Sums::Histogram { sum, buckets, .. } => {
            push(*sum);
            buckets.iter().for_each(|&(_, slot)| push(slot));
            if buckets.last().is_none_or(|&(bound, _)| bound != f64::INFINITY) {
                push(NOWHERE);
            }
            push(NOWHERE);
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

/// A figure that is taken: its bits, its form and its marks.
type Place<'a> = (&'a mut u64, (&'a mut Form, &'a mut u8));

/// Takes a value.
fn put((bits, (form, marks)): Place<'_>, value: Option<Value>, fits: bool) {
    let new = match value {
        None => (Form::None, 0),
        Some(Value::Integer(value)) => (Form::Integer, value),
        Some(Value::Float(value)) => (Form::Float, value.to_bits()),
    };
    let is_same = (new.0 == *form) & (new.1 == *bits);
    *marks = if is_same { 0 } else { CHANGED } | if fits { 0 } else { UNFIT };
    (*form, *bits) = new;
}

/// Whether a counter or a sum can have this value.
pub(crate) fn is_counted(value: Value) -> bool {
    match value {
        Value::Integer(_) => true,
        Value::Float(value) => value >= 0.0,
    }
}

/// Whether a count can have this value.
pub(crate) fn is_whole(value: Value) -> bool {
    match value {
        Value::Integer(_) => true,
        Value::Float(value) => value >= 0.0 && value.fract() == 0.0,
    }
}

/// A histogram whose figures are taken one after the other.
#[derive(Debug)]
struct Cumulated {
    buckets: Sum,
    is_done: bool,
}

impl Cumulated {
    /// None yet.
    fn none() -> Self {
        Self { buckets: Sum::default(), is_done: true }
    }

    /// The next value, and whether a histogram can have it.
    #[inline]
    fn next(&mut self, source: u32, totals: &Totals) -> (Value, bool) {
        if source == NOWHERE {
            self.is_done = true;
            let value = self.buckets.value();
            return (value, is_whole(value));
        }
        if std::mem::replace(&mut self.is_done, false) {
            self.buckets = Sum::default();
            let sum = totals.get(source);
            return (sum, is_counted(sum));
        }
        // Most often there are only integers, and many.
        if let Some(counts) = totals.only_integer(source)
            && let Some((before, value)) = self.buckets.add_integer(counts)
        {
            return (Value::Integer(value), value >= before);
        }
        let before = self.buckets.value();
        self.buckets.add(totals.parts(source));
        let value = self.buckets.value();
        (value, is_whole(value) && !value.is_below(before))
    }
}

impl Figures {
    /// Begins again, with those of these families, but for the series that are hidden.
    pub(crate) fn reset(&mut self, families: &[u32], hidden: &[u32], index: &Index) {
        self.sources.clear();
        self.runs.clear();
        self.ranges.clear();
        self.ranges.resize(index.families().len(), None);
        for &family in families {
            let entry = index.family(family);
            if !entry.is_listed() {
                let start = self.sources.len();
                self.sources.push(NOWHERE);
                let is_shown = |series: &&u32| hidden.binary_search(series).is_err();
                for &series in entry.series.iter().filter(is_shown) {
                    push_sources(&index.series(series).sums, |source| self.sources.push(source));
                }
                let range = start..self.sources.len();
                self.ranges[family as usize] = Some(range.clone());
                self.runs.push(Run { family, kind: entry.kind, range });
            }
        }
    }

    /// Those of a family: one for its head, then those of its series; `None` if it is to be written sample by sample.
    pub(crate) fn of(&self, family: u32) -> Option<Range<usize>> {
        self.ranges[family as usize].clone()
    }

    /// Takes all values anew, and notes which have changed.
    pub(crate) fn take(&mut self, totals: &Totals, gauges: &Gauges) {
        let Self { sources, runs, bits, forms, marks, takes, .. } = self;
        *takes += 1;
        bits.resize(sources.len(), 0);
        forms.resize(sources.len(), Form::None);
        marks.resize(sources.len(), 0);
        for Run { kind, range, .. } in runs {
            // A head has no value, and never had one.
            let range = range.start + 1..range.end;
            let sources = sources[range.clone()].iter().copied();
            let forms = forms[range.clone()].iter_mut();
            let places = bits[range.clone()].iter_mut().zip(forms.zip(&mut marks[range]));
            let mut places = sources.zip(places);
            match kind {
                Kind::Gauge | Kind::Info | Kind::StateSet | Kind::GaugeHistogram => {
                    places.for_each(|(slot, place)| put(place, gauges.get(slot).map(Value::Float), true));
                }
                Kind::Counter => places.for_each(|(slot, place)| {
                    let value = totals.get(slot);
                    put(place, Some(value), is_counted(value));
                }),
                Kind::Summary => {
                    while let (Some((count, at)), Some((sum, then))) = (places.next(), places.next()) {
                        let [count, sum] = [count, sum].map(|slot| totals.get(slot));
                        put(at, Some(count), is_whole(count));
                        put(then, Some(sum), is_counted(sum));
                    }
                }
                Kind::Histogram => {
                    let mut cumulated = Cumulated::none();
                    places.for_each(|(source, place)| {
                        let (value, fits) = cumulated.next(source, totals);
                        put(place, Some(value), fits);
                    });
                }
            }
        }
    }

    /// The families whose buckets are not all among the figures.
    pub(crate) fn families_with_natives(&self, index: &Index) -> Vec<u32> {
        let families = self.runs.iter().map(|run| run.family);
        families.filter(|&family| index.family(family).has_natives()).collect()
    }

    /// The families whose series may have exemplars.
    pub(crate) fn families_with(&self, exemplars: &Exemplars, index: &Index) -> Vec<u32> {
        if exemplars.are_none() {
            return Vec::new();
        }
        let has_any = |run: &&Run| {
            let mut slots = self.sources[run.range.clone()].iter().filter(|&&source| source != NOWHERE);
            matches!(run.kind, Kind::Counter | Kind::Histogram)
                && (slots.any(|&slot| exemplars.get(slot).is_some())
                    || (exemplars.any_is_native() && index.family(run.family).has_natives()))
        };
        self.runs.iter().filter(has_any).map(|run| run.family).collect()
    }

    /// How often figures were taken.
    pub(crate) fn takes(&self) -> u64 {
        self.takes
    }

    /// Whether a series begins with this figure, or a family.
    pub(crate) fn is_first(&self, at: usize) -> bool {
        let Some(run) = self.runs.get(self.runs.partition_point(|run| run.range.end <= at)) else {
            return true;
        };
        let ends = |at: usize| self.sources[at] == NOWHERE;
        match (at - run.range.start, run.kind) {
            (0, _) => true,
            (place, Kind::Summary) => !place.is_multiple_of(2),
            (_, Kind::Histogram) => ends(at - 1) && !ends(at),
            _ => true,
        }
    }

    /// The value; `None` for a head, and for a gauge that nobody who counts has set.
    pub(crate) fn get(&self, at: usize) -> Option<Value> {
        self.forms[at].of(self.bits[at])
    }

    /// These figures as [`Self::get`] has them, and whether each has changed since figures were taken the time before.
    pub(crate) fn each(&self, range: Range<usize>) -> impl Iterator<Item = (Option<Value>, bool)> {
        let values = self.forms[range.clone()].iter().zip(&self.bits[range.clone()]);
        let values = values.map(|(form, &bits)| form.of(bits));
        values.zip(self.marks[range].iter().map(|marks| marks & CHANGED != 0))
    }

    /// Whether any of these figures has changed since figures were taken the time before.
    pub(crate) fn are_changed(&self, range: Range<usize>) -> bool {
        self.any_marks(range) & CHANGED != 0
    }

    /// Whether these figures are what counters and histograms can have: counts are whole, nothing is below zero, and no
    /// bucket holds less than a smaller one.
    pub(crate) fn are_counts(&self, range: Range<usize>) -> bool {
        self.any_marks(range) & UNFIT == 0
    }

    /// Without a branch, so that many are looked at at once.
    fn any_marks(&self, range: Range<usize>) -> u8 {
        self.marks[range].iter().fold(0, |any, marks| any | marks)
    }
}
