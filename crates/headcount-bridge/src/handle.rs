//! What the macros of `metrics` update.

use std::sync::atomic::{AtomicU64, Ordering};

use headcount::{Counter, Gauge, Histogram};
use metrics::{CounterFn, GaugeFn, HistogramFn};

use crate::cache::Kept;

/// A counter, and how far it was set to count.
pub(crate) struct CounterHandle {
    counter: Counter,
    /// The greatest value that was set. What was added beside is not in it: a counter is either added to or set.
    set: AtomicU64,
}

impl CounterHandle {
    pub(crate) fn new(counter: Counter, kept: Kept) -> Self {
        // One that is made anew at each call does not know what was set: it passes that over, rather than adding all of
        // it each time.
        let set = if kept == Kept::Yes { 0 } else { u64::MAX };
        Self { counter, set: AtomicU64::new(set) }
    }
}

impl CounterFn for CounterHandle {
    #[inline]
    fn increment(&self, value: u64) {
        self.counter.add(value);
    }

    /// Adds what `value` is more than was set before. After a fork the child goes on from where its parent was.
    fn absolute(&self, value: u64) {
        let before = self.set.fetch_max(value, Ordering::Relaxed);
        self.counter.add(value.saturating_sub(before));
    }
}

pub(crate) struct GaugeHandle(pub(crate) Gauge);

impl GaugeFn for GaugeHandle {
    #[inline]
    fn increment(&self, value: f64) {
        self.0.add(value);
    }

    #[inline]
    fn decrement(&self, value: f64) {
        self.0.add(-value);
    }

    #[inline]
    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

pub(crate) struct HistogramHandle(pub(crate) Histogram);

impl HistogramFn for HistogramHandle {
    #[inline]
    fn record(&self, value: f64) {
        self.0.observe(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.0.observe_n(value, count as u64);
    }
}
