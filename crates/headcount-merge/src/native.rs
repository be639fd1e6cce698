//! Native histograms: what the tables of all processes hold together.
//!
//! Tables of different resolutions are put together in the coarsest: there each bucket holds two, four and so on of
//! a finer table, exactly. The zero bucket is as wide as the widest. All of that is done with whole numbers, and what
//! is shown is made of the whole: so neither the order of files nor what was folded before decides anything.
//!
//! If there are more buckets than a process has declared, the resolution of what is shown is reduced, and only if
//! that is not enough, the zero bucket is widened: as `client_golang` does it, but that it can begin again at full
//! resolution, which a sum over processes cannot.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use headcount_store::exponential::{Key, Schema};
use headcount_store::format::family::Native;

/// The number of a native histogram.
pub(crate) type NativeSlot = u32;

/// What has been added up so far, by number.
#[derive(Debug, Default)]
pub(crate) struct Natives {
    all: Vec<NativeSum>,
    /// What they begin with: the first ones.
    kept: Vec<NativeSum>,
}

/// What the tables of one histogram hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct NativeSum {
    /// `None` if there is no table.
    schema: Option<Schema>,
    zero_threshold: f64,
    /// How many buckets are to be shown at most.
    limit: u16,
    /// Of the observations in buckets with bounds, those of processes that count in tables, too.
    pub(crate) covered: u64,
    pub(crate) zero: u64,
    /// Observations that are not numbers.
    pub(crate) nowhere: u64,
    buckets: BTreeMap<Key, u64>,
}

impl Natives {
    /// Begins again with what is [kept](Self::keep), in the same space.
    pub(crate) fn clear(&mut self) {
        self.all.clone_from(&self.kept);
    }

    /// Keeps what there is now, to begin with.
    pub(crate) fn keep(&mut self) {
        self.kept.clone_from(&self.all);
    }

    /// What is added up under a number.
    pub(crate) fn get_mut(&mut self, native: NativeSlot) -> &mut NativeSum {
        let native = native as usize;
        if self.all.len() <= native {
            self.all.resize(native + 1, NativeSum::default());
        }
        &mut self.all[native]
    }

    /// What was added up; `None` if there was no table.
    pub(crate) fn get(&self, native: NativeSlot) -> Option<&NativeSum> {
        self.all.get(native as usize).filter(|sum| sum.schema.is_some())
    }
}

impl Hash for NativeSum {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { schema, zero_threshold, limit, covered, zero, nowhere, buckets } = self;
        (schema.map(Schema::number), zero_threshold.to_bits(), limit).hash(state);
        (covered, zero, nowhere, buckets.len()).hash(state);
        for (key, count) in buckets {
            (key.index, key.is_negative, count).hash(state);
        }
    }
}

impl NativeSum {
    /// Notes what a process has declared, and how fine a table of it is.
    pub(crate) fn declare(&mut self, declared: &Native, schema: Schema) {
        self.zero_threshold = self.zero_threshold.max(declared.scale.zero_threshold);
        self.limit = self.limit.max(declared.limit);
        let finer = self.schema.unwrap_or(schema);
        if schema <= finer {
            self.schema = Some(schema);
            if schema < finer {
                self.buckets = reduced(&self.buckets, finer, schema);
            }
        }
    }

    /// Adds the count of a bucket of a table that was [declared](Self::declare).
    pub(crate) fn add(&mut self, key: Key, schema: Schema, count: u64) {
        let index = self.schema.unwrap_or(schema).reduce(key.index, schema);
        let known = self.buckets.entry(Key { index, ..key }).or_default();
        *known = known.wrapping_add(count);
    }

    /// Everything in one table, as it goes into an archive: what is declared, and the buckets.
    pub(crate) fn to_table(&self) -> Option<(Native, impl Iterator<Item = (Key, u64)> + '_)> {
        let scale =
            headcount_store::exponential::Scale { schema: self.schema?, zero_threshold: self.zero_threshold };
        let declared = Native { scale, limit: self.limit, bounds: Vec::new() };
        Some((declared, self.buckets.iter().map(|(&key, &count)| (key, count))))
    }

    /// What is shown; `None` if there was no table.
    pub(crate) fn shown(&self) -> Option<NativeHistogram> {
        let mut schema = self.schema?;
        let limit = usize::from(self.limit.max(1));
        let mut shown = Shown::new(self.buckets.clone(), schema, self);
        while shown.buckets.len() > limit
            && let Some(coarser) = schema.coarser()
        {
            shown = Shown::new(reduced(&self.buckets, self.schema?, coarser), coarser, self);
            schema = coarser;
        }
        shown.widen_to(limit, schema);
        let side = |is_negative| {
            let buckets = shown.buckets.iter().filter(|(key, _)| key.is_negative == is_negative);
            buckets.map(|(key, &count)| (key.index, count)).collect()
        };
        Some(NativeHistogram {
            schema,
            zero_threshold: shown.zero_threshold,
            zero: shown.zero,
            positive: side(false),
            negative: side(true),
            nowhere: self.nowhere,
        })
    }
}

/// The same observations in a coarser schema.
fn reduced(buckets: &BTreeMap<Key, u64>, finer: Schema, schema: Schema) -> BTreeMap<Key, u64> {
    let mut reduced = BTreeMap::new();
    for (&key, &count) in buckets {
        let sum: &mut u64 = reduced.entry(Key { index: schema.reduce(key.index, finer), ..key }).or_default();
        *sum = sum.wrapping_add(count);
    }
    reduced
}

/// Buckets of one schema, none of which reaches into the zero bucket.
struct Shown {
    zero_threshold: f64,
    zero: u64,
    buckets: BTreeMap<Key, u64>,
}

impl Shown {
    fn new(mut buckets: BTreeMap<Key, u64>, schema: Schema, sum: &NativeSum) -> Self {
        // Who has a key may not have counted yet.
        buckets.retain(|_, count| *count > 0);
        let mut shown = Self { zero_threshold: sum.zero_threshold, zero: sum.zero, buckets };
        let threshold = shown.zero_threshold;
        let within = |key: &&Key| schema.upper_bound(key.index - 1) < threshold;
        if let Some(last) = shown.buckets.keys().filter(within).map(|key| key.index).max() {
            shown.absorb(last, schema);
        }
        shown
    }

    /// Widens the zero bucket until there are no more than so many others.
    fn widen_to(&mut self, limit: usize, schema: Schema) {
        while self.buckets.len() > limit
            && let Some(least) = self.buckets.keys().map(|key| key.index).min()
        {
            self.absorb(least, schema);
        }
    }

    /// Takes the buckets up to this one, on both sides, into the zero bucket.
    fn absorb(&mut self, last: i32, schema: Schema) {
        self.zero_threshold = self.zero_threshold.max(schema.upper_bound(last));
        let Self { zero, buckets, .. } = self;
        buckets.retain(|key, count| {
            let stays = key.index > last;
            if !stays {
                *zero = zero.wrapping_add(*count);
            }
            stays
        });
    }
}

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

#[cfg(test)]
mod tests {
    use headcount_store::exponential::{Place, Scale};
    use proptest::prelude::*;

    use super::*;

    fn schema(number: i8) -> Schema {
        Schema::new(number).unwrap()
    }

    fn declared(number: i8, zero_threshold: f64, limit: u16) -> Native {
        Native { scale: Scale { schema: schema(number), zero_threshold }, limit, bounds: vec![] }
    }

    /// Counts what a process has observed.
    fn observe(sum: &mut NativeSum, declared: &Native, values: &[f64]) {
        sum.declare(declared, declared.scale.schema);
        for &value in values {
            match declared.scale.place(value) {
                Place::Bucket(key) => sum.add(key, declared.scale.schema, 1),
                Place::Zero => sum.zero += 1,
                Place::Nowhere => sum.nowhere += 1,
            }
        }
    }

    /// A process: schema, zero threshold, and what it observes.
    type Process = (i8, f64, Vec<f64>);

    fn processes() -> impl Strategy<Value = Vec<Process>> {
        let value = prop_oneof![6 => -1e3..1e3, 2 => -1e-3..1e-3, 1 => any::<f64>()];
        let threshold = prop::sample::select(vec![0.0, 2.0_f64.powi(-128), 1e-4, 0.01]);
        let process = (-4_i8..=8, threshold, prop::collection::vec(value, 0..40));
        prop::collection::vec(process, 1..5)
    }

    proptest! {
        /// What is shown is what one process would show that had observed everything, with that schema and zero bucket.
        #[test]
        fn tables_of_any_resolution_merge_to_what_one_process_would_have(all in processes(), limit in 1_u16..200) {
            let mut sum = NativeSum::default();
            for (number, threshold, values) in &all {
                observe(&mut sum, &declared(*number, *threshold, limit), values);
            }
            let shown = sum.shown().unwrap();
            let least = all.iter().map(|(number, ..)| schema(*number)).min().unwrap();
            prop_assert!(shown.schema <= least);
            prop_assert!(all.iter().all(|(_, threshold, _)| shown.zero_threshold >= *threshold));
            let mut oracle = NativeSum::default();
            let values: Vec<f64> = all.iter().flat_map(|(.., values)| values).copied().collect();
            let same = declared(shown.schema.number(), shown.zero_threshold, u16::MAX);
            observe(&mut oracle, &same, &values);
            prop_assert_eq!(&shown, &oracle.shown().unwrap());
            prop_assert!(shown.positive.len() + shown.negative.len() <= usize::from(limit));
            // It is not coarser than it has to be.
            if shown.schema < least {
                let finer = declared(shown.schema.number() + 1, 0.0, u16::MAX);
                let mut oracle = NativeSum::default();
                observe(&mut oracle, &finer, &values);
                let finer = oracle.shown().unwrap();
                prop_assert!(finer.positive.len() + finer.negative.len() > usize::from(limit));
            }
        }

        #[test]
        fn neither_the_order_of_processes_nor_an_archive_changes_anything(all in processes(), split in 0_usize..5) {
            let add = |sum: &mut NativeSum, (number, threshold, values): &Process| {
                observe(sum, &declared(*number, *threshold, 20), values);
            };
            let (mut forward, mut folded, mut mixed) = <(NativeSum, NativeSum, NativeSum)>::default();
            all.iter().for_each(|process| add(&mut forward, process));
            let (dead, living) = all.split_at(split.min(all.len()));
            living.iter().rev().for_each(|process| add(&mut mixed, process));
            dead.iter().for_each(|process| add(&mut folded, process));
            if let Some((declared, buckets)) = folded.to_table() {
                mixed.declare(&declared, declared.scale.schema);
                buckets.for_each(|(key, count)| mixed.add(key, declared.scale.schema, count));
                mixed.zero += folded.zero;
                mixed.nowhere += folded.nowhere;
            }
            prop_assert_eq!(mixed.shown(), forward.shown());
        }
    }

    #[test]
    fn resolution_goes_before_the_zero_bucket_is_widened() {
        let mut sum = NativeSum::default();
        // Two buckets in the coarsest schema, and one on the other side.
        observe(&mut sum, &declared(8, 0.0, 3), &[1.5, 1.6, 2.0, 1e5, -1e5, -1.2e5]);
        let shown = sum.shown().unwrap();
        assert_eq!((shown.zero_threshold, shown.zero, shown.count()), (0.0, 0, 6));
        assert!(shown.schema < Schema::MAX && shown.schema > Schema::MIN, "{shown:?}");
        sum.limit = 1;
        let shown = sum.shown().unwrap();
        assert_eq!((shown.schema, shown.zero_threshold), (Schema::MIN, 2.0_f64.powi(32)));
        assert_eq!((shown.zero, shown.count()), (6, 6), "those of one index go together");
    }
}
