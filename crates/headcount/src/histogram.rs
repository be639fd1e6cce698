//! Histograms: observations counted by bucket, and their sum.

use std::time::Duration;

use headcount_store::format::family::Shape;
use headcount_store::write::{Registration, SpaceError, Store, SumCells};

use crate::buckets::Buckets;
use crate::error::RegisterError;
use crate::family::{Family, sealed};
use crate::registry::Registry;
use crate::timing::Timer;

/// Observations counted by bucket, and their sum.
///
/// The count is the sum of the buckets, so the two can never disagree. A small handle that may be
/// copied and used by any thread.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    cells: SumCells,
    bounds: &'static [f64],
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

    /// Counts `value` in the first bucket whose bound is not less; what is not a number counts in `+Inf`.
    #[inline]
    pub fn observe(&self, value: f64) {
        self.cells.observe(1 + self.bucket(value), 1, value);
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

    #[inline]
    fn bucket(&self, value: f64) -> u32 {
        // Written so that a NaN passes by every bound.
        #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN belongs to no finite bucket")]
        let bucket = self.bounds.partition_point(|&bound| !(value <= bound));
        #[expect(clippy::cast_possible_truncation, reason = "a record holds fewer than 65,536 bounds")]
        let bucket = bucket as u32;
        bucket
    }
}

impl sealed::Metric for Histogram {
    type Common = Vec<f64>;

    fn common(shape: &Shape) -> Vec<f64> {
        match shape {
            Shape::Histogram { bounds } => bounds.clone(),
            _ => Vec::new(),
        }
    }

    fn create(
        bounds: &'static Vec<f64>,
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<Self, SpaceError> {
        // The sum, the buckets, and the one of +Inf.
        let count = u32::try_from(bounds.len() + 2).unwrap_or(u32::MAX);
        let cells = registration.add_summed(store, family, values, count)?;
        Ok(Self { cells, bounds })
    }

    fn lost(bounds: &'static Vec<f64>, store: Store) -> Self {
        Self { cells: store.lost_cells(), bounds }
    }
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
