//! Histograms: observations counted by bucket, and their sum.

use std::time::Duration;

use headcount_store::format::family::Shape;
use headcount_store::write::{LifeCell, Registration, SeriesCells, SpaceError, Store, SumCells};

use crate::buckets::Buckets;
use crate::error::RegisterError;
use crate::exemplar::{self, IntoExemplar};
use crate::family::{Family, sealed};
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::local::LocalHistogram;
use crate::registry::Registry;
use crate::search::Search;
use crate::timing::Timer;

/// Observations counted by bucket, and their sum.
///
/// The count is the sum of the buckets, so the two can never disagree. A small handle that may be
/// copied and used by any thread.
///
/// ```
/// use std::time::Duration;
/// use headcount::{Buckets, Histogram, OrNoop};
///
/// let seconds = Histogram::new("request_seconds", "How long requests take.", Buckets::default()).or_noop();
/// seconds.observe(0.3);
/// seconds.observe_duration(Duration::from_millis(20));
/// seconds.time(|| "some work");
/// assert!(headcount::render().contains("request_seconds_count 3\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    cells: SumCells,
    search: &'static Search,
}

impl Histogram {
    /// A histogram without labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str, buckets: Buckets) -> Result<Self, RegisterError> {
        Registry::global()?.histogram(name, help, buckets)
    }

    /// Histograms with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const N: usize>(
        name: &str,
        help: &str,
        buckets: Buckets,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.histogram_family(name, help, buckets, labels)
    }

    /// Histograms with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_histogram(name, help, buckets)
    }

    /// Counts `value` in the first bucket whose bound is not less; what is not a number counts in `+Inf`.
    #[inline]
    pub fn observe(&self, value: f64) {
        self.add(self.bucket(value), 1, value);
    }

    /// Counts `value` as if it had been observed `n` times.
    #[inline]
    pub fn observe_n(&self, value: f64, n: u64) {
        if n > 0 {
            self.add(self.bucket(value), n, Self::times(value, n));
        }
    }

    /// Counts `value`, and keeps an exemplar of it beside its bucket, unless it is not a number; see
    /// [`Exemplar`](crate::Exemplar).
    pub fn observe_with_exemplar(&self, value: f64, exemplar: impl IntoExemplar) {
        let bucket = self.bucket(value);
        self.add(bucket, 1, value);
        exemplar::keep(self.cells, 1 + bucket, value, exemplar);
    }

    /// Counts a duration, in seconds, and keeps an exemplar of it.
    pub fn observe_duration_with_exemplar(&self, duration: Duration, exemplar: impl IntoExemplar) {
        self.observe_with_exemplar(duration.as_secs_f64(), exemplar);
    }

    /// An accumulator for a loop, which adds to this histogram when it is flushed or dropped.
    #[must_use]
    pub fn local(&self) -> LocalHistogram {
        LocalHistogram::new(*self)
    }

    /// What `value` adds to the sum if it is observed `n` times: nothing if never, even if it is infinite.
    #[inline]
    pub(crate) fn times(value: f64, n: u64) -> f64 {
        if n == 0 { 0.0 } else { value * n as f64 }
    }

    /// Adds to the count of a bucket, and to the sum.
    #[inline]
    pub(crate) fn add(&self, bucket: u32, n: u64, sum: f64) {
        self.cells.observe(1 + bucket, n, sum);
    }

    /// The number of the bucket that holds `value`.
    #[inline]
    pub(crate) fn bucket(&self, value: f64) -> u32 {
        self.search.bucket(value)
    }

    /// Adds what something else has observed: the count of each bucket, not cumulated and the one of +Inf last,
    /// and the sum. For bridges from other clients; counts beyond the buckets are not looked at.
    pub fn add_counts(&self, counts: &[u64], sum: f64) {
        let mut sum = sum;
        for (count, bucket) in counts.iter().take(self.buckets()).zip(0..) {
            if *count > 0 {
                // The sum goes with the first count.
                self.add(bucket, *count, std::mem::take(&mut sum));
            }
        }
    }

    /// How many buckets there are, with the one of +Inf.
    pub(crate) fn buckets(&self) -> usize {
        self.search.len() + 1
    }

    /// Counts a duration, in seconds.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// Starts a timer, which observes the seconds until it is dropped.
    pub fn start_timer(&self) -> Timer {
        Timer::start(*self)
    }

    /// Runs `work` and observes the seconds that it took, even if it panics.
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let _timer = self.start_timer();
        work()
    }
}

/// The shape of a histogram with these buckets.
pub(crate) fn shape(buckets: &Buckets) -> Shape {
    Shape::Histogram { bounds: buckets.bounds().to_vec() }
}

impl sealed::Metric for Histogram {
    type Common = &'static Search;

    fn common(shape: &Shape) -> &'static Search {
        match shape {
            Shape::Histogram { bounds } => Search::shared(bounds),
            _ => Search::shared(&[]),
        }
    }

    fn create(
        &search: &'static &'static Search,
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        let (cells, life) = registration.add_summed(store, family, values, cell_count(search))?;
        Ok((Self { cells, search }, life))
    }

    fn cells(self, &search: &'static &'static Search) -> SeriesCells {
        SeriesCells::Summed(self.cells, cell_count(search))
    }

    fn lost(&search: &'static &'static Search, store: Store) -> Self {
        Self { cells: store.lost_cells(), search }
    }
}

/// The sum, the buckets, and the one of +Inf.
fn cell_count(search: &Search) -> u32 {
    u32::try_from(search.len() + 2).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(registry: Registry) -> Histogram {
        registry.histogram("h", "", Buckets::new([1.0, 2.0, 4.0]).unwrap()).unwrap()
    }

    #[test]
    fn an_observation_counts_in_the_first_bucket_that_holds_it() {
        let check = |value: f64, buckets: [u64; 4]| {
            let registry = Registry::private().unwrap();
            histogram(registry).observe(value);
            let text = registry.render();
            for (bound, count) in ["1.0", "2.0", "4.0", "+Inf"].into_iter().zip(buckets) {
                assert!(text.contains(&format!("h_bucket{{le=\"{bound}\"}} {count}\n")), "{value}: {text}");
            }
            assert!(text.contains("h_count 1\n"), "{value}: {text}");
        };
        check(-1.0, [1, 1, 1, 1]);
        check(1.0, [1, 1, 1, 1]);
        check(1.5, [0, 1, 1, 1]);
        check(4.0, [0, 0, 1, 1]);
        check(4.1, [0, 0, 0, 1]);
        check(f64::INFINITY, [0, 0, 0, 1]);
        check(f64::NAN, [0, 0, 0, 1]);
    }
}
