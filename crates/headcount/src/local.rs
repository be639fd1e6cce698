//! Accumulators for loops: what they count stays with them until they are flushed or dropped.
//!
//! An update of a metric is cheap; one of a local is an addition in a register, if the loop leaves room for
//! it. What is not flushed when a process is killed is lost, and nobody sees it before.

use crate::counter::Counter;
use crate::histogram::Histogram;

/// Counts for a [`Counter`], until it is flushed or dropped; from [`Counter::local`].
///
/// ```
/// # let registry = headcount::Registry::private().unwrap();
/// let lines = registry.counter("lines", "Lines read.").unwrap();
/// let mut local = lines.local();
/// for _ in "one\ntwo\n".lines() {
///     local.inc();
/// }
/// drop(local);
/// assert!(registry.render().contains("lines_total 2"));
/// ```
#[derive(Debug)]
pub struct LocalCounter {
    counter: Counter,
    count: u64,
}

impl LocalCounter {
    pub(crate) fn new(counter: Counter) -> Self {
        Self { counter, count: 0 }
    }

    /// Adds 1.
    #[inline]
    pub fn inc(&mut self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&mut self, n: u64) {
        self.count = self.count.wrapping_add(n);
    }

    /// Adds what has been counted to the counter, and begins anew.
    pub fn flush(&mut self) {
        self.counter.add(std::mem::take(&mut self.count));
    }
}

impl Drop for LocalCounter {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Observes for a [`Histogram`], until it is flushed or dropped; from [`Histogram::local`].
///
/// ```
/// # let registry = headcount::Registry::private().unwrap();
/// # let buckets = headcount::Buckets::default();
/// let sizes = registry.histogram("chunk_bytes", "Size of chunks.", buckets).unwrap();
/// let mut local = sizes.local();
/// for chunk in [3.0, 7.5, 4.0] {
///     local.observe(chunk);
/// }
/// local.flush();
/// assert!(registry.render().contains("chunk_bytes_sum 14.5"));
/// ```
#[derive(Debug)]
pub struct LocalHistogram {
    histogram: Histogram,
    /// Of each bucket, the one of +Inf last.
    counts: Box<[u64]>,
    sum: f64,
}

impl LocalHistogram {
    pub(crate) fn new(histogram: Histogram) -> Self {
        let counts = vec![0; histogram.buckets()].into_boxed_slice();
        Self { histogram, counts, sum: 0.0 }
    }

    /// Counts `value`; see [`Histogram::observe`].
    #[inline]
    pub fn observe(&mut self, value: f64) {
        self.observe_n(value, 1);
    }

    /// Counts `value` as if it had been observed `n` times.
    #[inline]
    pub fn observe_n(&mut self, value: f64, n: u64) {
        let bucket = self.histogram.bucket(value);
        let count = &mut self.counts[bucket as usize];
        *count = count.wrapping_add(n);
        self.sum += Histogram::times(value, n);
    }

    /// Adds what has been observed to the histogram, and begins anew.
    pub fn flush(&mut self) {
        self.histogram.add_counts(&self.counts, std::mem::take(&mut self.sum));
        self.counts.fill(0);
    }
}

impl Drop for LocalHistogram {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use crate::{Buckets, Registry};

    #[test]
    fn what_is_observed_locally_is_what_would_have_been_observed() {
        let registry = Registry::private().unwrap();
        let histogram = |name| registry.histogram(name, "", Buckets::new([1.0, 2.0]).unwrap()).unwrap();
        let (direct, flushed) = (histogram("direct"), histogram("flushed"));
        let mut local = flushed.local();
        for (value, n) in [(0.5, 1), (1.0, 3), (f64::INFINITY, 0), (1.5, 2), (9.0, 1)] {
            direct.observe_n(value, n);
            local.observe_n(value, n);
        }
        assert!(registry.render().contains("flushed_count 0\n"));
        local.flush();
        local.flush();
        drop(local);
        let text = registry.render();
        let of = |name: &str| {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.map(|line| line.replace(name, "")).collect::<Vec<_>>()
        };
        assert_eq!(of("direct"), of("flushed"));
        assert!(text.contains("direct_count 7\n") && text.contains("direct_sum 15.5\n"), "{text}");
    }
}
