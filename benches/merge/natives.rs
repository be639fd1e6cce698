//! Workers that have the same native histograms each, of which every one has observed some thirty different values.

use std::path::Path;

use headcount::{NativeBuckets, NativeHistogram, Registry};

/// See the module. They live for as long as this does.
pub(super) struct Natives(Vec<(Registry, Vec<NativeHistogram>)>);

impl Natives {
    pub(super) fn start(directory: &Path, workers: usize, series: usize) -> Self {
        Self((0..workers).map(|worker| start(directory, worker, series)).collect())
    }

    /// What workers do between two scrapes: in one of them, each series observes something.
    pub(super) fn update(&self) {
        let (_, natives) = &self.0[0];
        natives.iter().for_each(|native| native.observe(0.05));
    }
}

fn start(directory: &Path, worker: usize, series: usize) -> (Registry, Vec<NativeHistogram>) {
    let limit = u32::try_from(series).unwrap();
    let registry = Registry::in_directory(directory).unwrap().with_series_limit(limit);
    let buckets = NativeBuckets::default();
    let family =
        registry.native_histogram_family("bench_native_seconds", "Bench.", buckets, ["path"]).unwrap();
    let natives = (0..series).map(|n| {
        let native = family.with([&format!("/api/v1/resource/{n}")]);
        // From 5 ms to 500 ms, evenly on a logarithmic scale.
        let value = |step: usize| 0.005 * 100_f64.powf(step as f64 / 30.0);
        (0..30).for_each(|step| native.observe(value((step * 7 + n + worker) % 30)));
        native
    });
    (registry, natives.collect())
}
