//! What native histograms have come to: their buckets as each table has them, and what is declared of them.

use std::hash::{Hash, Hasher};

use headcount_store::exponential::{Key, Scale, Schema};
use headcount_store::format::family::Native;

use crate::native::{NativeHistogram, Sides};
use crate::native_buckets::{Bucket, BucketSlot, NativeBuckets, NativeSlot};

/// What has been added up so far.
#[derive(Debug, Default)]
pub(crate) struct NativeTotals {
    /// By number.
    sums: Vec<NativeSum>,
    /// By slot.
    counts: Vec<u64>,
    /// What they begin with: the first ones.
    kept: (Vec<NativeSum>, Vec<u64>),
}

/// What one has come to beside the buckets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NativeSum {
    /// The coarsest; `None` if there is no table.
    schema: Option<Schema>,
    zero_threshold: f64,
    /// How many buckets are to be shown at most.
    limit: u16,
    /// Of the observations in buckets with bounds, those of processes that count in tables, too.
    pub(crate) covered: u64,
    pub(crate) zero: u64,
    /// Observations that are not numbers.
    pub(crate) nowhere: u64,
}

impl NativeTotals {
    /// Begins again with what is [kept](Self::keep), in the same space.
    pub(crate) fn clear(&mut self) {
        self.sums.clone_from(&self.kept.0);
        self.counts.clone_from(&self.kept.1);
    }

    /// Keeps what there is now, to begin with.
    pub(crate) fn keep(&mut self) {
        self.kept = (self.sums.clone(), self.counts.clone());
    }

    /// What is added up under a number beside the buckets.
    pub(crate) fn sum_mut(&mut self, native: NativeSlot) -> &mut NativeSum {
        let native = native as usize;
        if self.sums.len() <= native {
            self.sums.resize(native + 1, NativeSum::default());
        }
        &mut self.sums[native]
    }

    /// What is counted in buckets, with room for so many.
    pub(crate) fn counts_mut(&mut self, slots: BucketSlot) -> &mut [u64] {
        self.counts.resize(self.counts.len().max(slots as usize), 0);
        &mut self.counts
    }

    /// What one has come to; `None` if there was no table.
    pub(crate) fn get<'a>(
        &'a self,
        native: NativeSlot,
        buckets: &'a NativeBuckets,
    ) -> Option<NativeTotal<'a>> {
        let sum = self.sums.get(native as usize)?;
        let (buckets, counts) = (buckets.of(native), &*self.counts);
        sum.schema.map(|schema| NativeTotal { sum, schema, buckets, counts })
    }
}

impl NativeSum {
    /// Notes what a process has declared, and how fine a table of it is.
    pub(crate) fn declare(&mut self, zero_threshold: f64, limit: u16, schema: Schema) {
        self.zero_threshold = self.zero_threshold.max(zero_threshold);
        self.limit = self.limit.max(limit);
        self.schema = Some(self.schema.map_or(schema, |known| known.min(schema)));
    }
}

/// What a native histogram has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NativeTotal<'a> {
    pub(crate) sum: &'a NativeSum,
    schema: Schema,
    buckets: &'a [Bucket],
    counts: &'a [u64],
}

impl Hash for NativeTotal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let &NativeSum { zero_threshold, limit, covered, zero, nowhere, .. } = self.sum;
        (self.schema.number(), zero_threshold.to_bits(), limit, covered, zero, nowhere).hash(state);
        // As many are the same ones.
        self.buckets.len().hash(state);
        self.buckets.iter().for_each(|bucket| state.write_u64(self.count(bucket)));
    }
}

impl NativeTotal<'_> {
    fn count(&self, bucket: &Bucket) -> u64 {
        self.counts.get(bucket.slot as usize).copied().unwrap_or(0)
    }

    /// Everything in one schema.
    fn sides(&self) -> Sides {
        let counted = self.buckets.iter().map(|bucket| (bucket, self.count(bucket)));
        let counted = counted.filter(|(_, count)| *count > 0);
        let mut reduced = Vec::with_capacity(self.buckets.len());
        reduced.extend(counted.map(|(&Bucket { schema, key, .. }, count)| {
            (Key { index: self.schema.reduce(key.index, schema), ..key }, count)
        }));
        Sides::new(self.schema, reduced)
    }

    /// Everything in one table, as it goes into an archive: what is declared, and the buckets.
    pub(crate) fn to_table(self) -> (Native, impl Iterator<Item = (Key, u64)>) {
        let &NativeSum { zero_threshold, limit, .. } = self.sum;
        let scale = Scale { schema: self.schema, zero_threshold };
        (Native { scale, limit, bounds: Vec::new() }, self.sides().into_buckets())
    }

    /// What is shown.
    pub(crate) fn shown(self) -> NativeHistogram {
        let &NativeSum { zero_threshold, limit, zero, nowhere, .. } = self.sum;
        self.sides().shown((zero_threshold, zero), limit, nowhere)
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::exponential::Place;
    use proptest::prelude::*;

    use super::*;

    fn schema(number: i8) -> Schema {
        Schema::new(number).unwrap()
    }

    fn declared(number: i8, zero_threshold: f64, limit: u16) -> Native {
        Native { scale: Scale { schema: schema(number), zero_threshold }, limit, bounds: vec![] }
    }

    /// What there is of one native histogram.
    struct Summed {
        buckets: NativeBuckets,
        totals: NativeTotals,
    }

    impl Default for Summed {
        fn default() -> Self {
            let (mut buckets, totals) = <(NativeBuckets, NativeTotals)>::default();
            buckets.add();
            Self { buckets, totals }
        }
    }

    impl Summed {
        fn declare(&mut self, declared: &Native) -> &mut NativeSum {
            let sum = self.totals.sum_mut(0);
            sum.declare(declared.scale.zero_threshold, declared.limit, declared.scale.schema);
            sum
        }

        fn add(&mut self, key: Key, schema: Schema, count: u64) {
            let slots = self.buckets.intern(0, schema, vec![(key, 0)]);
            self.totals.counts_mut(self.buckets.slots())[slots[0].1 as usize] += count;
        }

        fn total(&self) -> NativeTotal<'_> {
            self.totals.get(0, &self.buckets).unwrap()
        }

        fn shown(&self) -> NativeHistogram {
            self.total().shown()
        }
    }

    /// Counts what a process has observed.
    fn observe(summed: &mut Summed, declared: &Native, values: &[f64]) {
        summed.declare(declared);
        for &value in values {
            match declared.scale.place(value) {
                Place::Bucket(key) => summed.add(key, declared.scale.schema, 1),
                Place::Zero => summed.totals.sum_mut(0).zero += 1,
                Place::Nowhere => summed.totals.sum_mut(0).nowhere += 1,
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
            let mut sum = Summed::default();
            for (number, threshold, values) in &all {
                observe(&mut sum, &declared(*number, *threshold, limit), values);
            }
            let shown = sum.shown();
            let least = all.iter().map(|(number, ..)| schema(*number)).min().unwrap();
            prop_assert!(shown.schema <= least);
            prop_assert!(all.iter().all(|(_, threshold, _)| shown.zero_threshold >= *threshold));
            let mut oracle = Summed::default();
            let values: Vec<f64> = all.iter().flat_map(|(.., values)| values).copied().collect();
            let same = declared(shown.schema.number(), shown.zero_threshold, u16::MAX);
            observe(&mut oracle, &same, &values);
            prop_assert_eq!(&shown, &oracle.shown());
            prop_assert!(shown.positive.len() + shown.negative.len() <= usize::from(limit));
            // It is not coarser than it has to be.
            if shown.schema < least {
                let finer = declared(shown.schema.number() + 1, 0.0, u16::MAX);
                let mut oracle = Summed::default();
                observe(&mut oracle, &finer, &values);
                let finer = oracle.shown();
                prop_assert!(finer.positive.len() + finer.negative.len() > usize::from(limit));
            }
        }

        #[test]
        fn neither_the_order_of_processes_nor_an_archive_changes_anything(all in processes(), split in 0_usize..5) {
            let add = |summed: &mut Summed, (number, threshold, values): &Process| {
                observe(summed, &declared(*number, *threshold, 20), values);
            };
            let (mut forward, mut folded, mut mixed) = <(Summed, Summed, Summed)>::default();
            all.iter().for_each(|process| add(&mut forward, process));
            let (dead, living) = all.split_at(split.min(all.len()));
            living.iter().rev().for_each(|process| add(&mut mixed, process));
            dead.iter().for_each(|process| add(&mut folded, process));
            if let Some(folded) = folded.totals.get(0, &folded.buckets) {
                let (declared, buckets) = folded.to_table();
                let sum = mixed.declare(&declared);
                sum.zero += folded.sum.zero;
                sum.nowhere += folded.sum.nowhere;
                buckets.for_each(|(key, count)| mixed.add(key, declared.scale.schema, count));
            }
            prop_assert_eq!(mixed.shown(), forward.shown());
        }
    }

    #[test]
    fn resolution_goes_before_the_zero_bucket_is_widened() {
        let shown = |limit| {
            let mut sum = Summed::default();
            // Two buckets in the coarsest schema, and one on the other side.
            observe(&mut sum, &declared(8, 0.0, limit), &[1.5, 1.6, 2.0, 1e5, -1e5, -1.2e5]);
            sum.shown()
        };
        let three = shown(3);
        assert_eq!((three.zero_threshold, three.zero, three.count()), (0.0, 0, 6));
        assert!(three.schema < Schema::MAX && three.schema > Schema::MIN, "{three:?}");
        let one = shown(1);
        assert_eq!((one.schema, one.zero_threshold), (Schema::MIN, 2.0_f64.powi(32)));
        assert_eq!((one.zero, one.count()), (6, 6), "those of one index go together");
    }
}
