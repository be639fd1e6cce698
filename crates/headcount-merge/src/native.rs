//! Native histograms: what is shown of what the tables of all processes hold together.
//!
//! Tables of different resolutions are put together in the coarsest: there each bucket holds two, four and so on of
//! a finer table, exactly. The zero bucket is as wide as the widest. All of that is done with whole numbers, and what
//! is shown is made of the whole: so neither the order of files nor what was folded before decides anything.
//!
//! If there are more buckets than a process has declared, the resolution of what is shown is reduced, and only if
//! that is not enough, the zero bucket is widened: as `client_golang` does it, but that it can begin again at full
//! resolution, which a sum over processes cannot.

use headcount_store::exponential::{Key, Schema};

/// A native histogram of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeHistogram {
    /// How fine its buckets are.
    pub schema: Schema,
    /// What is not farther from 0 is in the zero bucket.
    pub zero_threshold: f64,
    /// How many observations are in the zero bucket.
    pub zero: u64,
    /// The buckets of positive values that hold something: their indexes, ascending, and how many observations.
    pub positive: Vec<(i32, u64)>,
    /// The same, of negative values, by their absolute values.
    pub negative: Vec<(i32, u64)>,
    /// Observations that are not numbers, and therefore in no bucket. If there are any, nor is the sum a number.
    pub nowhere: u64,
}

impl NativeHistogram {
    /// How many observations are in buckets.
    #[must_use]
    pub fn count(&self) -> u64 {
        let buckets = self.positive.iter().chain(&self.negative);
        buckets.fold(self.zero, |sum, (_, count)| sum.wrapping_add(*count))
    }
}

/// Buckets of one schema that hold something, by their indexes: first those of positive values, then of negative ones.
#[derive(Debug)]
pub(crate) struct Sides {
    schema: Schema,
    sides: [Vec<(i32, u64)>; 2],
}

impl Sides {
    /// Puts together what is counted in buckets of a schema.
    pub(crate) fn new(schema: Schema, mut counted: Vec<(Key, u64)>) -> Self {
        // They are in order, if there is only one schema.
        if !counted.is_sorted() {
            counted.sort_unstable();
        }
        let negative = counted.partition_point(|(key, _)| !key.is_negative);
        let (positive, negative) = counted.split_at(negative);
        let sides =
            [positive, negative].map(|side| joined(side.iter().map(|&(key, count)| (key.index, count))));
        Self { schema, sides }
    }

    /// The buckets, those of each side in order.
    pub(crate) fn into_buckets(self) -> impl Iterator<Item = (Key, u64)> {
        let sides = self.sides.into_iter().zip([false, true]);
        sides.flat_map(|(side, is_negative)| {
            side.into_iter().map(move |(index, count)| (Key { is_negative, index }, count))
        })
    }

    /// What is shown of these buckets and of the zero bucket: how wide that is, and what it holds.
    pub(crate) fn shown(
        mut self,
        (threshold, zero): (f64, u64),
        limit: u16,
        nowhere: u64,
    ) -> NativeHistogram {
        let limit = usize::from(limit.max(1));
        while self.beyond(self.reached(threshold)) > limit
            && let Some(coarser) = self.schema.coarser()
        {
            self.reduce(coarser);
        }
        let mut shown = Widened { zero_threshold: threshold, zero, buckets: self };
        if let Some(last) = shown.buckets.reached(threshold) {
            shown.absorb(last);
        }
        while shown.buckets.beyond(None) > limit
            && let Some(least) = shown.buckets.least()
        {
            shown.absorb(least);
        }
        let Widened { zero_threshold, zero, buckets: Self { schema, sides: [positive, negative] } } = shown;
        NativeHistogram { schema, zero_threshold, zero, positive, negative, nowhere }
    }

    /// The same observations in a coarser schema.
    fn reduce(&mut self, schema: Schema) {
        for side in &mut self.sides {
            *side = joined(side.iter().map(|&(index, count)| (schema.reduce(index, self.schema), count)));
        }
        self.schema = schema;
    }

    /// The last index, on any side, of a bucket that a zero bucket reaches into.
    fn reached(&self, threshold: f64) -> Option<i32> {
        let is_reached = |&&(index, _): &&(i32, u64)| self.schema.upper_bound(index - 1) < threshold;
        let last = self.sides.iter().filter_map(|side| side.iter().take_while(is_reached).last());
        last.map(|&(index, _)| index).max()
    }

    /// How many buckets there are behind this index.
    fn beyond(&self, last: Option<i32>) -> usize {
        self.sides.iter().map(|side| side.len() - up_to(side, last)).sum()
    }

    fn least(&self) -> Option<i32> {
        self.sides.iter().filter_map(|side| side.first()).map(|&(index, _)| index).min()
    }
}

/// How many of these buckets there are up to an index.
fn up_to(side: &[(i32, u64)], last: Option<i32>) -> usize {
    last.map_or(0, |last| side.partition_point(|&(index, _)| index <= last))
}

/// Adds up what has the same index, where those stand side by side.
fn joined(counted: impl Iterator<Item = (i32, u64)>) -> Vec<(i32, u64)> {
    let mut joined: Vec<(i32, u64)> = Vec::with_capacity(counted.size_hint().1.unwrap_or(0));
    for (index, count) in counted {
        match joined.last_mut() {
            Some((last, sum)) if *last == index => *sum = sum.wrapping_add(count),
            _ => joined.push((index, count)),
        }
    }
    // A file may say anything.
    joined.retain(|(_, count)| *count > 0);
    joined
}

/// Buckets, and the zero bucket, that takes what it reaches into.
struct Widened {
    zero_threshold: f64,
    zero: u64,
    buckets: Sides,
}

impl Widened {
    /// Takes the buckets up to this one, on both sides, into the zero bucket.
    fn absorb(&mut self, last: i32) {
        let Self { zero_threshold, zero, buckets: Sides { schema, sides } } = self;
        *zero_threshold = zero_threshold.max(schema.upper_bound(last));
        for side in sides {
            let absorbed = side.drain(..up_to(side, Some(last)));
            *zero = absorbed.fold(*zero, |sum, (_, count)| sum.wrapping_add(count));
        }
    }
}
