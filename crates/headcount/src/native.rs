//! Native histograms: observations counted in buckets that nobody has to choose.
//!
//! A series has a table (`native_table.rs`), which holds a bucket for whatever is observed, and another one when that
//! is full.

use std::sync::OnceLock;
use std::time::Duration;

use headcount_store::exponential::Schema;
use headcount_store::format::exemplar::{NATIVE_EXEMPLARS, native_exemplar};
use headcount_store::format::family::{Native, Shape};
use headcount_store::write::{LifeCell, NewTable, Registration, SeriesCells, SpaceError, Store};

use crate::error::RegisterError;
use crate::exemplar::{self, IntoExemplar};
use crate::family::{Family, sealed};
use crate::histogram::Histogram;
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::native_buckets::NativeBuckets;
use crate::native_local::LocalNativeHistogram;
use crate::native_table::Table;
use crate::registry::Registry;
use crate::search::Search;
use crate::timing::Timer;

/// Observations counted in exponential buckets, as many as it takes, and their sum: a native histogram of Prometheus'.
///
/// It is exposed in protobuf, which Prometheus asks for with `--enable-feature=native-histograms` or
/// `scrape_native_histograms`. In text there are its count, its sum, and the buckets with bounds that were [declared
/// beside](NativeBuckets::and_classic). A small handle that may be copied and used by any thread.
///
/// ```
/// use headcount::{NativeBuckets, NativeHistogram, OrNoop};
///
/// let seconds =
///     NativeHistogram::new("request_seconds", "How long requests take.", NativeBuckets::default()).or_noop();
/// seconds.observe(0.3);
/// seconds.time(|| "some work");
/// assert!(headcount::render().contains("request_seconds_count 2\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NativeHistogram(&'static Series);

/// What the handles of one series share.
#[derive(Debug)]
struct Series {
    common: &'static Common,
    table: Table,
    store: Store,
    /// What it takes to describe another table; `None` of a series that could not be created.
    place: Option<SeriesPlace>,
}

#[derive(Debug)]
struct SeriesPlace {
    family: u32,
    values: Box<[Box<str>]>,
    life: LifeCell,
}

/// What all series of a family share.
#[derive(Debug)]
pub struct Common {
    declared: Native,
    /// Of the buckets with bounds, if there are any.
    search: Option<Search>,
    /// In the place of series that could not be created.
    lost: OnceLock<Series>,
}

impl NativeHistogram {
    /// A native histogram without labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str, buckets: NativeBuckets) -> Result<Self, RegisterError> {
        Registry::global()?.native_histogram(name, help, buckets)
    }

    /// Native histograms with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const N: usize>(
        name: &str,
        help: &str,
        buckets: NativeBuckets,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.native_histogram_family(name, help, buckets, labels)
    }

    /// Native histograms with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(
        name: &str,
        help: &str,
        buckets: NativeBuckets,
    ) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_native_histogram(name, help, buckets)
    }

    /// Counts `value`. An infinite one has a bucket of its own, and what is not a number has none: it counts, and
    /// makes the sum no number either.
    #[inline]
    pub fn observe(&self, value: f64) {
        self.observe_times(value, 1, value);
    }

    /// Counts `value` as if it had been observed `n` times.
    #[inline]
    pub fn observe_n(&self, value: f64, n: u64) {
        if n > 0 {
            self.observe_times(value, n, Histogram::times(value, n));
        }
    }

    /// Counts `value`, and keeps an exemplar of it, unless it is not a number: beside its bucket with a bound, if there
    /// are such; otherwise one of eight, in the place of the last whose value was like this one. See
    /// [`Exemplar`](crate::Exemplar).
    ///
    /// ```
    /// use headcount::{Exemplar, NativeBuckets, NativeHistogram, OrNoop};
    ///
    /// let seconds = NativeHistogram::new("order_seconds", "How long orders take.", NativeBuckets::default()).or_noop();
    /// seconds.observe_with_exemplar(0.3, [("order", "4711")]);
    /// assert!(headcount::render().contains("order_seconds_count 1\n"));
    /// ```
    pub fn observe_with_exemplar(&self, value: f64, exemplar: impl IntoExemplar) {
        self.observe(value);
        // Those of the first table are those of the series.
        let cells = self.0.table.cells();
        let place = || self.0.common.declared.first_place() + native_exemplar(value);
        exemplar::keep(cells, self.classic_cell(value).unwrap_or_else(place), value, exemplar);
    }

    /// Counts a duration, in seconds, and keeps an exemplar of it.
    pub fn observe_duration_with_exemplar(&self, duration: Duration, exemplar: impl IntoExemplar) {
        self.observe_with_exemplar(duration.as_secs_f64(), exemplar);
    }

    #[inline]
    fn observe_times(&self, value: f64, n: u64, sum: f64) {
        let table = self.table();
        match table.find(value) {
            Some(cell) => self.add(table, cell, value, n, sum),
            None => self.observe_elsewhere(value, n, sum),
        }
    }

    /// An accumulator for a loop, which adds to this histogram when it is flushed or dropped.
    #[must_use]
    pub fn local(&self) -> LocalNativeHistogram {
        LocalNativeHistogram::new(*self)
    }

    /// Counts a duration, in seconds.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// Starts a timer, which observes the seconds until it is dropped.
    pub fn start_timer(&self) -> Timer<Self> {
        Timer::start(*self)
    }

    /// Runs `work` and observes the seconds that it took, even if it panics.
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let _timer = self.start_timer();
        work()
    }

    /// The table that is counted in now.
    #[inline]
    pub(crate) fn table(&self) -> &'static Table {
        self.0.table.newest()
    }

    /// Adds to a cell of a table, to the sum, and to the bucket with a bound that holds `value`.
    #[inline]
    fn add(&self, table: &Table, cell: u32, value: f64, n: u64, sum: f64) {
        let cells = table.cells();
        cells.observe(cell, n, sum);
        if let Some(classic) = self.classic_cell(value) {
            cells.add(classic, n);
        }
    }

    /// The cell of a table that counts what is in the bucket with a bound that holds `value`, if there are such.
    #[inline]
    pub(crate) fn classic_cell(&self, value: f64) -> Option<u32> {
        self.0.common.search.as_ref().map(|search| Native::CLASSIC + search.bucket(value))
    }

    /// Counts a value whose bucket has no place yet.
    #[cold]
    #[inline(never)]
    fn observe_elsewhere(&self, value: f64, n: u64, sum: f64) {
        let limit = self.0.common.declared.limit.into();
        match self.table().take(value, limit, &mut |table| self.coarser(table)) {
            Some((table, cell)) => self.add(table, cell, value, n, sum),
            None => self.0.store.lost_cells().add(0, 1),
        }
    }

    /// The table that takes the place of one that is full.
    fn coarser(&self, table: &'static Table) -> Option<&'static Table> {
        let SeriesPlace { family, values, life } = self.0.place.as_ref()?;
        let mut registration = Registration::begin();
        table.follow(&mut registration, |registration, scale| {
            let values: Vec<&str> = values.iter().map(|value| &**value).collect();
            let Series { common, store, .. } = self.0;
            let (first, new) = (common.declared.first_place(), common.table(scale.schema, Some(*life)));
            registration.add_table(*store, *family, &values, first, new).ok().map(|(cells, _)| cells)
        })
    }
}

impl Common {
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

impl sealed::Metric for NativeHistogram {
    type Common = Common;

    fn common(shape: &Shape) -> Common {
        let declared = match shape {
            Shape::NativeHistogram(native) => native.clone(),
            _ => NativeBuckets::default().0,
        };
        let search = (!declared.bounds.is_empty()).then(|| Search::new(&declared.bounds));
        Common { declared, search, lost: OnceLock::new() }
    }

    fn create(
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
        let place = Some(SeriesPlace { family, values, life });
        let table = Table::new(scale, cells);
        Ok((Self(Box::leak(Box::new(Series { common, table, store, place }))), life))
    }

    fn cells(self, _: &'static Common) -> SeriesCells {
        // What is observed goes to the newest table.
        let table = self.table();
        SeriesCells::Summed(table.cells(), table.len())
    }

    fn lost(common: &'static Common, store: Store) -> Self {
        let scale = common.declared.scale;
        let table = || Table::new(scale, store.lost_table());
        Self(common.lost.get_or_init(|| Series { common, table: table(), store, place: None }))
    }
}

/// What there is of native histograms in a registry.
impl Registry {
    /// A native histogram without labels; see [`NativeHistogram::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn native_histogram(
        self,
        name: &str,
        help: &str,
        buckets: NativeBuckets,
    ) -> Result<NativeHistogram, RegisterError> {
        self.native_histogram_family(name, help, buckets, []).and_then(Family::only)
    }

    /// Native histograms with labels; see [`NativeHistogram::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn native_histogram_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        buckets: NativeBuckets,
        labels: [&str; N],
    ) -> Result<Family<NativeHistogram, N>, RegisterError> {
        self.family(name, help, buckets.into_shape(), labels)
    }

    /// Native histograms with labels of a type; see [`NativeHistogram::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_native_histogram<L: Labels>(
        self,
        name: &str,
        help: &str,
        buckets: NativeBuckets,
    ) -> Result<Labelled<NativeHistogram, L>, RegisterError> {
        self.labelled(name, help, buckets.into_shape())
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::exponential::Key;
    use headcount_store::format::record::Record;
    use headcount_store::read::Image;

    use super::*;
    use crate::buckets::Buckets;

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
