//! What series show beside their figures: exemplars, and the buckets of native histograms.
//!
//! There is much of it, and of few series. So it is not kept to be compared, but for a digest of each, made with secrets of
//! this process.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::RandomState;

use crate::index::Sums;
use crate::merged::Parts;

/// The digests of some series, in their order on a page.
#[derive(Debug, Default)]
pub(super) struct Beside {
    hasher: RandomState,
    digests: Vec<u64>,
}

impl Beside {
    /// Takes one more series in, or what is none.
    pub(super) fn push(&mut self, series: Option<u32>, parts: Parts<'_>) {
        self.digests.push(series.map_or(0, |series| self.digest(series, parts)));
    }

    /// Whether a series shows something else now.
    pub(super) fn is_changed(&self, at: usize, series: u32, parts: Parts<'_>) -> bool {
        self.digests[at] != self.digest(series, parts)
    }

    /// Notes what a series shows now.
    pub(super) fn note(&mut self, at: usize, series: u32, parts: Parts<'_>) {
        self.digests[at] = self.digest(series, parts);
    }

    fn digest(&self, series: u32, parts: Parts<'_>) -> u64 {
        let Parts { index, exemplars, natives, .. } = parts;
        let mut hasher = self.hasher.build_hasher();
        match &index.series(series).sums {
            &Sums::One(slot) => exemplars.get(slot).hash(&mut hasher),
            Sums::Histogram { buckets, native, .. } => {
                if !exemplars.are_none() {
                    exemplars.of_histogram(buckets, *native).for_each(|found| found.hash(&mut hasher));
                }
                native.and_then(|native| natives.get(native, index.natives())).hash(&mut hasher);
            }
            Sums::Gauge(_) | Sums::Summary { .. } | Sums::GaugeHistogram { .. } => {}
        }
        hasher.finish()
    }
}
