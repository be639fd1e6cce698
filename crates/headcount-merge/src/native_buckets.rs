//! The buckets of native histograms' tables: each has a slot, in which it is counted.
//!
//! Each is as fine as the table that it is of, for how coarse a merge will be is known only at its end. It has its slot
//! from the first time on that something is counted in it. So what is known of one changes no more, and a slot that
//! nothing is added to shows nothing.

use headcount_store::exponential::{Key, Schema};

/// The number of a native histogram.
pub(crate) type NativeSlot = u32;

/// The number of a bucket, of those of all native histograms.
pub(crate) type BucketSlot = u32;

/// A bucket of tables of one schema. They are in the order of their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket {
    pub(crate) schema: Schema,
    pub(crate) key: Key,
    pub(crate) slot: BucketSlot,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct NativeBuckets {
    /// Those of each native histogram, sorted.
    all: Vec<Vec<Bucket>>,
    slots: BucketSlot,
}

impl NativeBuckets {
    /// Gives out the number of another native histogram.
    pub(crate) fn add(&mut self) -> NativeSlot {
        self.all.push(Vec::new());
        NativeSlot::try_from(self.all.len() - 1).unwrap_or(NativeSlot::MAX)
    }

    /// Those of a native histogram, sorted: those of each schema stand together.
    pub(crate) fn of(&self, native: NativeSlot) -> &[Bucket] {
        &self.all[native as usize]
    }

    /// How many slots were given out.
    pub(crate) fn slots(&self) -> BucketSlot {
        self.slots
    }

    /// Finds or adds buckets of a native histogram, for places of a table of this schema: tells the slot for each place.
    pub(crate) fn intern(
        &mut self,
        native: NativeSlot,
        schema: Schema,
        mut keys: Vec<(Key, u32)>,
    ) -> Vec<(u32, BucketSlot)> {
        // What is near to each other in a table has slots side by side.
        keys.sort_unstable();
        let known = &mut self.all[native as usize];
        let len = known.len();
        let slot = |(key, place)| {
            let at = known[..len].binary_search_by_key(&(schema, key), |known| (known.schema, known.key));
            let slot = match (at, known[len..].last()) {
                (Ok(at), _) => known[at].slot,
                (_, Some(last)) if last.key == key => last.slot,
                _ => {
                    known.push(Bucket { schema, key, slot: self.slots });
                    self.slots += 1;
                    self.slots - 1
                }
            };
            (place, slot)
        };
        let slots = keys.into_iter().map(slot).collect();
        known.sort_unstable();
        slots
    }
}
