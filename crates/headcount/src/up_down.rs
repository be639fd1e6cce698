//! Gauges of which only differences are recorded, such as what is in flight.

use headcount_store::format::family::Shape;
use headcount_store::metric::{GaugeMerge, GaugeMode};
use headcount_store::write::{Registration, SumCells};

use crate::error::RegisterError;
use crate::family::Family;
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::registry::Registry;
use crate::summed::Summed;

/// A gauge that goes up and down by differences, and is never set: what is in flight, what is open.
///
/// Each thread adds to memory of its own, as with a counter, so that an update is a plain load and store, where that
/// of a [`Gauge`](crate::Gauge) that several threads share is an atomic exchange. It begins at 0 in each process, and
/// is shown from then on. Threads are added up one after the other: what goes up in one and down in another while
/// that happens may be off by one for a moment.
///
/// ```
/// use headcount::{GaugeMode, OrNoop, UpDown};
///
/// // The sum over all processes that live; `GaugeMode::Sum` keeps what the dead have come to.
/// let jobs = UpDown::new("jobs_in_flight", "Jobs going on.", GaugeMode::LiveSum).or_noop();
/// jobs.inc();
/// {
///     let _job = jobs.in_flight();
///     assert_eq!(jobs.get(), 2.0);
/// }
/// assert!(headcount::render().contains("jobs_in_flight 1\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UpDown(SumCells);

impl UpDown {
    /// A gauge of differences without labels, in the default registry. Its mode is a sum.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str, mode: GaugeMode) -> Result<Self, RegisterError> {
        Registry::global()?.up_down(name, help, mode)
    }

    /// Gauges of differences with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const N: usize>(
        name: &str,
        help: &str,
        mode: GaugeMode,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.up_down_family(name, help, mode, labels)
    }

    /// Gauges of differences with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(
        name: &str,
        help: &str,
        mode: GaugeMode,
    ) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_up_down(name, help, mode)
    }

    /// Adds `difference`, which may be negative.
    #[inline]
    pub fn add(&self, difference: f64) {
        self.0.add_f64(0, difference);
    }

    /// Adds 1.
    #[inline]
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Subtracts 1.
    #[inline]
    pub fn dec(&self) {
        self.add(-1.0);
    }

    /// What all threads of this process have come to. Takes a lock: it is for tests, not for the way of a request.
    #[must_use]
    pub fn get(&self) -> f64 {
        Registration::begin().sum_f64(self.0)
    }
}

impl Registry {
    /// A gauge of differences without labels; see [`UpDown::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn up_down(self, name: &str, help: &str, mode: GaugeMode) -> Result<UpDown, RegisterError> {
        self.up_down_family(name, help, mode, []).and_then(Family::only)
    }

    /// Gauges of differences with labels; see [`UpDown::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn up_down_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        mode: GaugeMode,
        labels: [&str; N],
    ) -> Result<Family<UpDown, N>, RegisterError> {
        self.family(name, help, shape(name, mode)?, labels)
    }

    /// Gauges of differences with labels of a type; see [`UpDown::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_up_down<L: Labels>(
        self,
        name: &str,
        help: &str,
        mode: GaugeMode,
    ) -> Result<Labelled<UpDown, L>, RegisterError> {
        self.labelled(name, help, shape(name, mode)?)
    }
}

/// The shape of a gauge of differences in this mode.
pub(crate) fn shape(name: &str, mode: GaugeMode) -> Result<Shape, RegisterError> {
    match mode.merge() {
        GaugeMerge::Sum => Ok(Shape::UpDown(mode)),
        _ => Err(RegisterError::NoSum { name: name.to_owned(), mode }),
    }
}

impl Summed for UpDown {
    const CELLS: u32 = 1;

    fn of(cells: SumCells) -> Self {
        Self(cells)
    }

    fn cells(self) -> SumCells {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_up_in_one_thread_may_go_down_in_another() {
        let registry = Registry::private().unwrap();
        let gauge = registry.up_down("g", "", GaugeMode::LiveSum).unwrap();
        assert!(registry.render().contains("# TYPE g gauge\ng 0\n"));
        gauge.add(5.0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| gauge.dec()));
            }
        });
        assert_eq!(gauge.get(), -3995.0);
        (0..4000).for_each(|_| gauge.inc());
        assert!(registry.render().contains("\ng 5\n"));
    }

    #[test]
    fn only_sums_are_made_of_differences() {
        let registry = Registry::private().unwrap();
        let error = registry.up_down("g", "", GaugeMode::Max).unwrap_err();
        let message =
            "`g` records differences, which are summed: its mode is `livesum` or `sum`, and not `max`";
        assert_eq!(error.to_string(), message);
        registry.up_down("g", "", GaugeMode::Sum).unwrap();
        assert!(registry.gauge("g", "", GaugeMode::Sum).is_err(), "it is another metric");
    }
}
