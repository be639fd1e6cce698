//! Gauge histograms: how what there is now is distributed, such as the ages of jobs that wait.

use headcount_store::format::family::Shape;
use headcount_store::write::{GaugeCell, LifeCell, Registration, SeriesCells, SpaceError, Store};

use crate::buckets::Buckets;
use crate::error::RegisterError;
use crate::family::{Family, sealed};
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::registry::Registry;
use crate::search::Search;

/// What there is now, counted by bucket, and its sum. Unlike a histogram's, both may fall.
///
/// The merge adds up what living processes have. One that a process never set takes no part; nor does it in a
/// forked child until the child sets it. A small handle that may be copied and used by any thread.
///
/// ```
/// use headcount::{Buckets, GaugeHistogram, OrNoop};
///
/// let waiting = ["a", "mail"];
/// let bytes = GaugeHistogram::new("queue_bytes", "Sizes of jobs that wait.", Buckets::new([2.0, 8.0]).unwrap());
/// let bytes = bytes.or_noop();
/// // Whatever changes, as an `Updater` sees it:
/// bytes.set(waiting.iter().map(|job| job.len() as f64));
/// // Or one by one:
/// bytes.inc(100.0);
/// bytes.dec(1.0);
/// let text = headcount::render();
/// assert!(text.contains("queue_bytes_bucket{le=\"8.0\"} 1\n"), "{text}");
/// assert!(text.contains("queue_bytes_gcount 2\n") && text.contains("queue_bytes_gsum 104\n"), "{text}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GaugeHistogram {
    /// The sum, and then the buckets, each by itself.
    cells: &'static [GaugeCell],
    search: &'static Search,
}

impl GaugeHistogram {
    /// A gauge histogram without labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str, buckets: Buckets) -> Result<Self, RegisterError> {
        Registry::global()?.gauge_histogram(name, help, buckets)
    }

    /// Gauge histograms with labels, in the default registry.
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
        Registry::global()?.gauge_histogram_family(name, help, buckets, labels)
    }

    /// Gauge histograms with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_gauge_histogram(name, help, buckets)
    }

    /// One more of this value.
    #[inline]
    pub fn inc(&self, value: f64) {
        self.add(value, 1.0);
    }

    /// One less of this value.
    #[inline]
    pub fn dec(&self, value: f64) {
        self.add(value, -1.0);
    }

    fn add(&self, value: f64, n: f64) {
        let bucket = self.search.bucket(value) as usize;
        self.cells[1 + bucket].add(n);
        self.cells[0].add(value * n);
    }

    /// These values, and nothing else. Of two threads that set it at once, each bucket is of one or the other.
    pub fn set(&self, values: impl IntoIterator<Item = f64>) {
        const FEW: usize = 32;
        let (mut few, mut many) = ([0.0; FEW], Vec::new());
        let buckets = self.cells.len() - 1;
        let counts = if buckets <= FEW {
            &mut few[..buckets]
        } else {
            many.resize(buckets, 0.0);
            &mut many
        };
        let mut sum = 0.0;
        for value in values {
            counts[self.search.bucket(value) as usize] += 1.0;
            sum += value;
        }
        self.cells[0].set(sum);
        self.cells[1..].iter().zip(counts).for_each(|(cell, &mut count)| cell.set(count));
    }
}

impl Registry {
    /// A gauge histogram without labels; see [`GaugeHistogram::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn gauge_histogram(
        self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Result<GaugeHistogram, RegisterError> {
        self.gauge_histogram_family(name, help, buckets, []).and_then(Family::only)
    }

    /// Gauge histograms with labels; see [`GaugeHistogram::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    #[expect(clippy::needless_pass_by_value, reason = "buckets are made for one metric, as of a histogram")]
    pub fn gauge_histogram_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        buckets: Buckets,
        labels: [&str; N],
    ) -> Result<Family<GaugeHistogram, N>, RegisterError> {
        self.family(name, help, shape(&buckets), labels)
    }

    /// Gauge histograms with labels of a type; see [`GaugeHistogram::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    #[expect(clippy::needless_pass_by_value, reason = "buckets are made for one metric, as of a histogram")]
    pub fn labelled_gauge_histogram<L: Labels>(
        self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Result<Labelled<GaugeHistogram, L>, RegisterError> {
        self.labelled(name, help, shape(&buckets))
    }
}

/// The shape of a gauge histogram with these buckets.
pub(crate) fn shape(buckets: &Buckets) -> Shape {
    Shape::GaugeHistogram { bounds: buckets.bounds().to_vec() }
}

/// What all gauge histograms of a family share.
#[derive(Debug)]
pub struct Common {
    search: Search,
    /// Cells of one that could not be created.
    nowhere: Box<[GaugeCell]>,
}

impl sealed::Metric for GaugeHistogram {
    type Common = Common;

    fn common(shape: &Shape) -> Common {
        let search = Search::new(shape.bounds());
        // The sum, the buckets, and the one of +Inf.
        let nowhere = vec![GaugeCell::nowhere(); search.len() + 2].into();
        Common { search, nowhere }
    }

    fn create(
        Common { search, nowhere }: &'static Common,
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        let count = u32::try_from(nowhere.len()).unwrap_or(u32::MAX);
        let cells = registration.add_gauges(store, family, values, count)?;
        Ok((Self { cells: Box::leak(cells), search }, LifeCell::NONE))
    }

    fn cells(self, _: &'static Common) -> SeriesCells {
        SeriesCells::Gauges(self.cells)
    }

    fn lost(Common { search, nowhere }: &'static Common, _: Store) -> Self {
        Self { cells: nowhere, search }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_set_is_not_shown_and_what_goes_is_gone() {
        let registry = Registry::private().unwrap();
        let buckets = Buckets::new([1.0, 2.0]).unwrap();
        let family = registry.gauge_histogram_family("g", "", buckets, ["l"]).unwrap();
        let (a, _) = (family.with(["a"]), family.with(["b"]));
        assert_eq!(registry.render(), "# HELP g \n# TYPE g histogram\n");
        let check = |counts: [i32; 3], sum: f64| {
            let lines = ["1.0", "2.0", "+Inf"].iter().zip(counts);
            let lines: String =
                lines.map(|(le, n)| format!("g_bucket{{l=\"a\",le=\"{le}\"}} {n}\n")).collect();
            let expected = format!(
                "# HELP g \n# TYPE g histogram\n{lines}# HELP g_gcount \n# TYPE g_gcount gauge\ng_gcount{{l=\"a\"}} \
                 {}\n# HELP g_gsum \n# TYPE g_gsum gauge\ng_gsum{{l=\"a\"}} {sum}\n",
                counts[2]
            );
            assert_eq!(registry.render(), expected);
        };
        a.inc(1.5);
        a.inc(3.0);
        check([0, 1, 2], 4.5);
        a.dec(1.5);
        check([0, 0, 1], 3.0);
        a.set([0.5, 0.5, f64::from(2)]);
        check([2, 3, 3], 3.0);
        a.set([]);
        check([0, 0, 0], 0.0);
    }

    #[test]
    fn a_set_of_many_buckets_is_set_as_one_of_few() {
        let registry = Registry::private().unwrap();
        let gauges = registry.gauge_histogram("g", "", Buckets::linear(0.0, 1.0, 100).unwrap()).unwrap();
        gauges.set((0..100).map(f64::from));
        assert!(registry.render().contains("g_bucket{le=\"50.0\"} 51\n"));
    }
}
