//! A histogram of the result.

use headcount_store::text::Value;

use crate::exemplars::{Exemplar, Exemplars};
use crate::gauge::Gauges;
use crate::native::NativeHistogram;
use crate::native_buckets::NativeSlot;
use crate::native_totals::NativeTotal;
use crate::text::Buckets;
use crate::totals::{Sum, Totals};

/// A histogram of the result.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    pub(crate) numbers: Numbers<'a>,
    pub(crate) exemplars: &'a Exemplars,
    pub(crate) sum: u32,
    /// Slots of the numbers.
    pub(crate) buckets: &'a [(f64, u32)],
    /// Its number, and what it has come to.
    pub(crate) native: Option<(NativeSlot, NativeTotal<'a>)>,
}

/// Where the numbers of a histogram are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers<'a> {
    Summed(&'a Totals),
    /// Of a gauge histogram.
    Set(&'a Gauges),
}

impl Numbers<'_> {
    fn get(self, slot: u32) -> Sum {
        match self {
            Self::Summed(totals) => totals.parts(slot),
            Self::Set(gauges) => Sum::from(gauges.get(slot).unwrap_or(0.0)),
        }
    }
}

impl<'a> Histogram<'a> {
    /// The sum of the observations.
    #[must_use]
    pub fn sum(&self) -> Value {
        self.numbers.get(self.sum).value()
    }

    /// How many observations there were: the sum of the buckets.
    #[must_use]
    pub fn count(&self) -> Value {
        let mut count = Sum::default();
        self.buckets.iter().for_each(|&(_, slot)| count.add(self.numbers.get(slot)));
        count.value()
    }

    /// The newest exemplar of each bucket, as many as there are cumulative [buckets](Self::buckets) at least; nothing
    /// if no bucket has one.
    #[must_use]
    pub fn exemplars(&self) -> Vec<Option<Exemplar<'a>>> {
        match self.numbers {
            Numbers::Summed(_) => {
                let native = self.native.map(|(native, _)| native);
                self.exemplars.by_bucket(self.buckets, native).unwrap_or_default()
            }
            Numbers::Set(_) => Vec::new(),
        }
    }

    /// The exemplars of a [native](Self::native) histogram, the oldest first.
    #[must_use]
    pub fn native_exemplars(&self) -> Vec<Exemplar<'a>> {
        self.native.map(|(native, _)| self.exemplars.by_time(self.buckets, native)).unwrap_or_default()
    }

    /// Its buckets as a native histogram. `None` if it is none, and as long as there are observations of processes
    /// to which it is none: nobody can tell in which of these buckets they belong.
    #[must_use]
    pub fn native(&self) -> Option<NativeHistogram> {
        let (_, native) = self.native?;
        let is_covered = matches!(self.count(), Value::Integer(count) if count == native.sum.covered);
        is_covered.then(|| native.shown())
    }

    /// Whether some process has declared bounds.
    #[must_use]
    pub fn has_bounds(&self) -> bool {
        self.buckets.iter().any(|(bound, _)| *bound < f64::INFINITY)
    }

    /// The buckets by upper bound, ascending. Cumulative ones end with `+Inf`.
    pub fn buckets(&self, kind: Buckets) -> impl Iterator<Item = (f64, Value)> + use<'a> {
        let Self { numbers, buckets, .. } = *self;
        let has_infinity = buckets.last().is_some_and(|&(bound, _)| bound == f64::INFINITY);
        let missing = (!has_infinity && kind == Buckets::Cumulative).then_some((f64::INFINITY, None));
        let mut below = Sum::default();
        buckets.iter().map(|&(bound, slot)| (bound, Some(slot))).chain(missing).map(move |(bound, slot)| {
            let own = slot.map_or_else(Sum::default, |slot| numbers.get(slot));
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
