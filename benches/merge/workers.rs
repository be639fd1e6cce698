//! What is merged: workers that have the same series each, half of them histogram entries, a quarter counters and a
//! quarter `livesum` gauges, with three labels.

use std::path::Path;

use headcount::{Buckets, Counter, Gauge, GaugeMode, Histogram, Registry};

/// Entries of a histogram: 14 bounds, +Inf and the sum.
pub(super) const PER_HISTOGRAM: usize = 16;

/// Workers of ours. They live for as long as this does, so that their gauges count.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    /// Keeps the file.
    _registry: Registry,
    /// The series, each with a number that is in its labels.
    series: Vec<(usize, Series)>,
}

enum Series {
    Histogram(Histogram),
    Gauge(Gauge),
    Counter(Counter),
}

/// Which values change between two scrapes.
#[derive(Clone, Copy)]
pub(super) enum Changed {
    None,
    All,
    /// A tenth of each family: one that stands together, as that of a busy controller does, or every tenth series.
    Together,
    Scattered,
}

impl Changed {
    fn includes(self, n: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            // In the order in which they are shown, these follow one another.
            Self::Together => matches!(n % 97, 1 | 10..=18),
            Self::Scattered => n.is_multiple_of(10),
        }
    }
}

impl Workers {
    pub(super) fn start(directory: &Path, workers: usize, entries: usize) -> Self {
        Self((0..workers).map(|worker| Worker::start(directory, worker, entries)).collect())
    }

    /// What workers do between two scrapes. That one of them does something changes the sums.
    pub(super) fn update(&self, changed: Changed) {
        for (n, series) in &self.0[0].series {
            if changed.includes(*n) {
                series.update();
            }
        }
    }
}

impl Worker {
    fn start(directory: &Path, worker: usize, entries: usize) -> Self {
        let limit = u32::try_from(entries).unwrap();
        let registry = Registry::in_directory(directory).unwrap().with_series_limit(limit);
        let labels =
            |n: usize| [format!("Controller{}", n % 97), format!("/api/v1/resource/{n}"), "200".to_owned()];
        let names = ["controller", "path", "status"];
        let value = |n: usize| ((n * 7 + worker) % 1000) as u64;
        let histograms =
            registry.histogram_family("bench_seconds", "Bench.", Buckets::default(), names).unwrap();
        let mut series = Vec::new();
        for n in 0..entries / 2 / PER_HISTOGRAM {
            let labels = labels(n);
            let histogram = histograms.with(labels.each_ref().map(String::as_str));
            histogram.observe(value(n) as f64 / 100.0);
            series.push((n, Series::Histogram(histogram)));
        }
        let gauges = registry.gauge_family("bench_gauge", "Bench.", GaugeMode::LiveSum, names).unwrap();
        let counters = registry.counter_family("bench_counter", "Bench.", names).unwrap();
        for n in 0..entries / 4 {
            let labels = labels(n);
            let labels = labels.each_ref().map(String::as_str);
            let (gauge, counter) = (gauges.with(labels), counters.with(labels));
            gauge.set(value(n) as f64 + 0.5);
            counter.add(value(n));
            series.extend([(n, Series::Gauge(gauge)), (n, Series::Counter(counter))]);
        }
        Self { _registry: registry, series }
    }
}

impl Series {
    fn update(&self) {
        match self {
            // All buckets are cumulated from the first one on.
            Self::Histogram(histogram) => histogram.observe(0.0001),
            Self::Gauge(gauge) => gauge.add(1.0),
            Self::Counter(counter) => counter.add(1),
        }
    }
}
