//! One series of a native histogram: its tables, which follow one another, and what it takes to have another one.

use std::sync::OnceLock;

use headcount_store::exponential::Schema;
use headcount_store::format::exemplar::NATIVE_EXEMPLARS;
use headcount_store::format::family::{Native, Shape};
use headcount_store::write::{LifeCell, NewTable, Registration, SpaceError, Store};

use crate::native_buckets::NativeBuckets;
use crate::native_table::Table;
use crate::search::Search;

/// What the handles of one series share.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) common: &'static Common,
    /// The first one; the others follow it.
    pub(crate) table: Table,
    store: Store,
    /// What it takes to describe another table; `None` of a series that could not be created.
    described: Option<Described>,
}

/// How the series was described.
#[derive(Debug)]
struct Described {
    family: u32,
    values: Box<[Box<str>]>,
    life: LifeCell,
}

/// What all series of a family share.
#[derive(Debug)]
pub struct Common {
    pub(crate) declared: Native,
    /// Of the buckets with bounds, if there are any.
    pub(crate) search: Option<Search>,
    /// In the place of series that could not be created.
    lost: OnceLock<Series>,
}

impl Series {
    /// Describes a series.
    pub(crate) fn create(
        common: &'static Common,
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        let scale = common.declared.scale;
        let new = common.table(scale.schema, None);
        let (cells, life) =
            registration.add_table(store, family, values, common.declared.first_place(), new)?;
        let values = values.iter().map(|&value| value.into()).collect();
        let described = Some(Described { family, values, life });
        Ok((Self { common, table: Table::new(scale, cells), store, described }, life))
    }

    /// The one in the place of those that could not be created.
    pub(crate) fn lost(common: &'static Common, store: Store) -> &'static Self {
        common.lost.get_or_init(|| {
            let table = Table::new(common.declared.scale, store.lost_table());
            Self { common, table, store, described: None }
        })
    }

    /// Takes a place for a value that has none, if need be in a table that follows; where it is. `None`, and counted as
    /// lost, if there is none at all.
    pub(crate) fn take(&'static self, value: f64) -> Option<(&'static Table, u32)> {
        let limit = self.common.declared.limit.into();
        let taken = self.table.newest().take(value, limit, &mut |table| self.coarser(table));
        if taken.is_none() {
            self.store.lost_cells().add(0, 1);
        }
        taken
    }

    /// The table that takes the place of one that is full.
    fn coarser(&self, table: &'static Table) -> Option<&'static Table> {
        let Described { family, values, life } = self.described.as_ref()?;
        let mut registration = Registration::begin();
        table.follow(&mut registration, |registration, scale| {
            let values: Vec<&str> = values.iter().map(|value| &**value).collect();
            let Self { common, store, .. } = self;
            let (first, new) = (common.declared.first_place(), common.table(scale.schema, Some(*life)));
            registration.add_table(*store, *family, &values, first, new).ok().map(|(cells, _)| cells)
        })
    }
}

impl Common {
    /// Of a family of this shape.
    pub(crate) fn of(shape: &Shape) -> Self {
        let declared = match shape {
            Shape::NativeHistogram(native) => native.clone(),
            _ => NativeBuckets::default().0,
        };
        let search = (!declared.bounds.is_empty()).then(|| Search::new(&declared.bounds));
        Self { declared, search, lost: OnceLock::new() }
    }

    /// A table that has room for as many buckets as may be, and more, so that they are found at once; and for as many
    /// exemplars.
    fn table(&self, schema: Schema, life: Option<LifeCell>) -> NewTable {
        /// More than there are buckets in the coarsest schema, of both signs.
        const ENOUGH: u32 = 512;
        let limit = u32::from(self.declared.limit);
        let places = (limit + limit / 2 + 1).max(NATIVE_EXEMPLARS).next_power_of_two();
        NewTable { schema, places: if schema == Schema::MIN { places.max(ENOUGH) } else { places }, life }
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::exponential::Key;
    use headcount_store::format::record::Record;
    use headcount_store::read::Image;

    use super::*;
    use crate::buckets::Buckets;
    use crate::registry::Registry;

    fn image(registry: Registry) -> Image {
        Registration::begin().image(registry.store().unwrap()).unwrap()
    }

    /// A table: its schema, its buckets and their counts, and its zero bucket.
    type Seen = (i8, Vec<(Key, u64)>, u64);

    /// The tables of the only series.
    fn tables(registry: Registry) -> Vec<Seen> {
        let image = image(registry);
        let mut classic = 0;
        let mut tables = Vec::new();
        for record in image.records() {
            match record.unwrap() {
                Record::Family(family) => classic = family.shape.native().unwrap().classic_buckets(),
                Record::Series { first_cell, table, .. } => {
                    let table = table.unwrap();
                    let count = |place| image.cells().sum(first_cell + Native::CLASSIC + classic + place);
                    let key =
                        |place| Key::decode(image.cells().shared(table.first_key + place), table.schema);
                    let places = (0..table.places).filter_map(|place| Some((key(place)?, count(place))));
                    let mut buckets: Vec<_> = places.collect();
                    buckets.sort_unstable();
                    let zero = image.cells().sum(first_cell + Native::ZERO);
                    tables.push((table.schema.number(), buckets, zero));
                }
                Record::Process(_) => {}
            }
        }
        tables
    }

    fn key(index: i32) -> Key {
        Key { is_negative: false, index }
    }

    #[test]
    fn an_observation_counts_in_the_bucket_that_holds_it_on_its_side_of_zero() {
        let registry = Registry::private().unwrap();
        let buckets = NativeBuckets::with_schema(0).unwrap().zero_threshold(0.5).unwrap();
        let histogram = registry.native_histogram("h", "", buckets).unwrap();
        for value in [1.0, 1.5, 2.0, -2.0, 0.5, -0.25, 0.0] {
            histogram.observe(value);
        }
        histogram.observe_n(3.0, 5);
        histogram.observe_n(3.0, 0);
        let negative = Key { is_negative: true, index: 1 };
        assert_eq!(tables(registry), [(0, vec![(key(0), 1), (key(1), 2), (key(2), 5), (negative, 1)], 3)]);
        let text = registry.render();
        assert!(text.contains("h_bucket{le=\"+Inf\"} 12\n") && text.contains("h_sum 17.75\n"), "{text}");
    }

    #[test]
    fn what_is_infinite_or_no_number_counts() {
        let registry = Registry::private().unwrap();
        let histogram = registry.native_histogram("h", "", NativeBuckets::with_schema(-4).unwrap()).unwrap();
        [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX].into_iter().for_each(|v| histogram.observe(v));
        let negative = Key { is_negative: true, index: 65 };
        assert_eq!(tables(registry), [(-4, vec![(key(64), 1), (key(65), 1), (negative, 1)], 0)]);
        assert!(registry.render().contains("h_count 4\n"));
    }

    #[test]
    fn a_full_table_is_followed_by_a_coarser_one_and_keeps_what_it_has() {
        let registry = Registry::private().unwrap();
        let buckets = NativeBuckets::with_schema(1).unwrap().limit(2).unwrap();
        let buckets = buckets.and_classic(Buckets::new([2.0]).unwrap());
        let histogram = registry.native_histogram("h", "", buckets).unwrap();
        for value in [1.0, 2.0, 1.0, 4.0, 2.0, 4.0, 1.0] {
            histogram.observe(value);
        }
        let tables = tables(registry);
        assert_eq!(tables[0], (1, vec![(key(0), 2), (key(2), 1)], 0));
        assert_eq!(tables[1], (0, vec![(key(1), 1), (key(2), 2)], 0));
        assert_eq!(tables[2], (-1, vec![(key(0), 1)], 0));
        let text = registry.render();
        assert!(text.contains("h_bucket{le=\"2.0\"} 5\nh_bucket{le=\"+Inf\"} 7\nh_count 7\n"), "{text}");
        assert_eq!(text.matches("h_count").count(), 1, "{text}");
    }

    #[test]
    fn the_coarsest_table_has_a_place_for_every_value() {
        let registry = Registry::private().unwrap();
        let histogram =
            registry.native_histogram("h", "", NativeBuckets::default().limit(1).unwrap()).unwrap();
        for exponent in -1074..=1023 {
            histogram.observe(f64::from(exponent).exp2());
            histogram.observe(-f64::from(exponent).exp2());
        }
        assert!(registry.render().contains("h_count 4196\n"));
        assert_eq!(image(registry).header().lost_updates, 0);
        assert_eq!(tables(registry).len(), 8, "one for each schema from 3 on");
    }

    #[test]
    fn threads_that_race_for_places_and_tables_lose_nothing() {
        for _ in 0..10 {
            let registry = Registry::private().unwrap();
            let buckets = NativeBuckets::with_schema(8).unwrap().limit(20).unwrap();
            let histogram = registry.native_histogram("h", "", buckets).unwrap();
            let begin = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for thread in 0..4_u32 {
                    let begin = &begin;
                    scope.spawn(move || {
                        begin.wait();
                        (0..2000).for_each(|n| histogram.observe(f64::from((n * 37 + thread) % 500)));
                    });
                }
            });
            let text = registry.render();
            assert!(text.contains("h_count 8000\n"), "{text}");
            let tables = tables(registry);
            assert!(tables.is_sorted_by(|(a, ..), (b, ..)| a > b), "each schema once");
            let in_buckets =
                |(_, buckets, zero): &Seen| buckets.iter().map(|(_, count)| count).sum::<u64>() + zero;
            assert_eq!(tables.iter().map(in_buckets).sum::<u64>(), 8000, "each has a key");
        }
    }

    #[test]
    fn one_that_cannot_be_created_works_and_counts_what_is_lost() {
        let registry = Registry::private().unwrap();
        let family = registry.native_histogram_family("h", "", NativeBuckets::default(), ["l"]).unwrap();
        let long = "x".repeat(1 << 20);
        for value in [1.0, 0.0, f64::NAN] {
            family.with([&long]).observe(value);
        }
        family.with([&long]).local().observe(3.0);
        assert_eq!(image(registry).header().lost_updates, 4);
    }
}
