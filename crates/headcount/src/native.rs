//! Native histograms: observations counted in buckets that nobody has to choose.
//!
//! A series (`native_series.rs`) has a table (`native_table.rs`), which holds a bucket for whatever is observed, and
//! another one when that is full.

use std::time::Duration;

use headcount_store::format::exemplar::native_exemplar;
use headcount_store::format::family::{Native, Shape};
use headcount_store::write::{LifeCell, Registration, SeriesCells, SpaceError, Store};

use crate::error::RegisterError;
use crate::exemplar::{self, IntoExemplar};
use crate::family::{Family, sealed};
use crate::histogram::Histogram;
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::native_buckets::NativeBuckets;
use crate::native_local::LocalNativeHistogram;
use crate::native_series::{Common, Series};
use crate::native_table::Table;
use crate::registry::Registry;
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
        if let Some((table, cell)) = self.0.take(value) {
            self.add(table, cell, value, n, sum);
        }
    }
}

impl sealed::Metric for NativeHistogram {
    type Common = Common;

    fn common(shape: &Shape) -> Common {
        Common::of(shape)
    }

    fn create(
        common: &'static Common,
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        let (series, life) = Series::create(common, registration, store, family, values)?;
        Ok((Self(Box::leak(Box::new(series))), life))
    }

    fn cells(self, _: &'static Common) -> SeriesCells {
        // What is observed goes to the newest table.
        let table = self.table();
        SeriesCells::Summed(table.cells(), table.len())
    }

    fn lost(common: &'static Common, store: Store) -> Self {
        Self(Series::lost(common, store))
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
