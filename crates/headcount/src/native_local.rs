//! Accumulators of native histograms, for loops; see [`crate::local`].

use crate::histogram::Histogram;
use crate::native::NativeHistogram;
use crate::native_table::Table;

/// Observes for a [`NativeHistogram`], until it is flushed or dropped; from [`NativeHistogram::local`].
///
/// ```
/// # let registry = headcount::Registry::private().unwrap();
/// # let buckets = headcount::NativeBuckets::default();
/// let sizes = registry.native_histogram("chunk_bytes", "Size of chunks.", buckets).unwrap();
/// let mut local = sizes.local();
/// for chunk in [3.0, 7.5, 4.0] {
///     local.observe(chunk);
/// }
/// local.flush();
/// assert!(registry.render().contains("chunk_bytes_sum 14.5"));
/// ```
#[derive(Debug)]
pub struct LocalNativeHistogram {
    histogram: NativeHistogram,
    table: &'static Table,
    /// Of each cell of the table's.
    counts: Box<[u64]>,
    sum: f64,
}

impl LocalNativeHistogram {
    pub(crate) fn new(histogram: NativeHistogram) -> Self {
        let table = histogram.table();
        Self { histogram, table, counts: vec![0; table.len() as usize].into(), sum: 0.0 }
    }

    /// Counts `value`; see [`NativeHistogram::observe`].
    #[inline]
    pub fn observe(&mut self, value: f64) {
        self.observe_n(value, 1);
    }

    /// Counts `value` as if it had been observed `n` times.
    #[inline]
    pub fn observe_n(&mut self, value: f64, n: u64) {
        match self.table.find(value) {
            Some(cell) => {
                self.add(cell, n);
                if let Some(cell) = self.histogram.classic_cell(value) {
                    self.add(cell, n);
                }
                self.sum += Histogram::times(value, n);
            }
            None => self.observe_elsewhere(value, n),
        }
    }

    #[inline]
    fn add(&mut self, cell: u32, n: u64) {
        let count = &mut self.counts[cell as usize];
        *count = count.wrapping_add(n);
    }

    /// Has the histogram take a place for a value, in a coarser table if need be.
    #[cold]
    fn observe_elsewhere(&mut self, value: f64, n: u64) {
        self.histogram.observe_n(value, n);
        if !std::ptr::eq(self.table, self.histogram.table()) {
            self.flush();
            self.table = self.histogram.table();
            self.counts = vec![0; self.table.len() as usize].into();
        }
    }

    /// Adds what has been observed to the histogram, and begins anew.
    pub fn flush(&mut self) {
        self.table.add(&self.counts, std::mem::take(&mut self.sum));
        self.counts.fill(0);
    }
}

impl Drop for LocalNativeHistogram {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use crate::{Buckets, NativeBuckets, Registry};

    #[test]
    fn what_is_observed_locally_is_what_would_have_been_observed() {
        let registry = Registry::private().unwrap();
        let buckets = NativeBuckets::with_schema(8).unwrap().limit(10).unwrap();
        let buckets = buckets.and_classic(Buckets::new([1.0, 2.0]).unwrap());
        let histogram = |name| registry.native_histogram(name, "", buckets.clone()).unwrap();
        let (direct, flushed) = (histogram("direct"), histogram("flushed"));
        let mut local = flushed.local();
        for n in 0..100_u8 {
            for (value, times) in [(f64::from(n), 1), (-0.5, 2), (f64::from(n), 0), (0.0, 1)] {
                direct.observe_n(value, times);
                local.observe_n(value, times);
            }
        }
        drop(local);
        let text = registry.render();
        let of = |name: &str| {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.map(|line| line.replace(name, "")).collect::<Vec<_>>()
        };
        assert_eq!(of("direct"), of("flushed"));
        assert!(text.contains("direct_count 400\n") && text.contains("direct_sum 4850\n"), "{text}");
    }
}
