//! Gauges: values that are set.

use std::time::{SystemTime, UNIX_EPOCH};

use headcount_store::format::family::Shape;
use headcount_store::metric::{GaugeMerge, GaugeMode};
use headcount_store::write::{
    GaugeCell, LifeCell, MostRecentCells, Registration, SeriesCells, SpaceError, Store,
};

use crate::error::RegisterError;
use crate::family::{Family, sealed};
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::registry::Registry;

/// A value that is set, and merged over processes as its [`GaugeMode`] says.
///
/// A gauge that a process never set takes no part in the merge. A small handle that may be copied and
/// used by any thread.
///
/// ```
/// use headcount::{Gauge, GaugeMode, OrNoop};
///
/// // The sum over all processes that live.
/// let open = Gauge::new("connections", "Connections that are open.", GaugeMode::LiveSum).or_noop();
/// open.inc();
/// assert_eq!(open.get(), Some(1.0));
///
/// // The same in all of them: what was set last.
/// let loaded = Gauge::new("loaded_timestamp_seconds", "When it was loaded.", GaugeMode::MostRecent).or_noop();
/// loaded.set_to_current_time();
/// # assert!(loaded.get() > Some(1.7e9));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gauge(Cells);

#[derive(Clone, Copy, Debug)]
enum Cells {
    Plain(GaugeCell),
    MostRecent(MostRecentCells),
}

impl Gauge {
    /// A gauge without labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str, mode: GaugeMode) -> Result<Self, RegisterError> {
        Registry::global()?.gauge(name, help, mode)
    }

    /// Gauges with labels, in the default registry.
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
        Registry::global()?.gauge_family(name, help, mode, labels)
    }

    /// Gauges with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(
        name: &str,
        help: &str,
        mode: GaugeMode,
    ) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_gauge(name, help, mode)
    }

    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        match self.0 {
            Cells::Plain(cell) => cell.set(value),
            Cells::MostRecent(cells) => cells.set(value, now()),
        }
    }

    /// Adds `difference`, which may be negative. A gauge that was never set counts as 0.
    ///
    /// In the modes `mostrecent` and `livemostrecent` this sets the sum now. (Python's client refuses.)
    #[inline]
    pub fn add(&self, difference: f64) {
        match self.0 {
            Cells::Plain(cell) => cell.add(difference),
            Cells::MostRecent(cells) => cells.add(difference, now()),
        }
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

    /// Sets the value to the time, in seconds since 1970.
    pub fn set_to_current_time(&self) {
        self.set(now());
    }

    /// What this process has set; `None` if it never did.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        match self.0 {
            Cells::Plain(cell) => cell.get(),
            Cells::MostRecent(cells) => cells.get(),
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl sealed::Metric for Gauge {
    type Common = GaugeMerge;

    fn common(shape: &Shape) -> GaugeMerge {
        match shape {
            Shape::Gauge(mode) => mode.merge(),
            _ => GaugeMerge::All,
        }
    }

    fn create(
        merge: &'static GaugeMerge,
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        let cells = match merge {
            GaugeMerge::MostRecent => {
                registration.add_most_recent(store, family, values).map(Cells::MostRecent)
            }
            _ => registration.add_gauge(store, family, values).map(Cells::Plain),
        };
        cells.map(|cells| (Self(cells), LifeCell::NONE))
    }

    fn cells(self, _: &'static GaugeMerge) -> SeriesCells {
        match self.0 {
            Cells::Plain(cell) => SeriesCells::Gauge(cell),
            Cells::MostRecent(cells) => SeriesCells::MostRecent(cells),
        }
    }

    fn lost(merge: &'static GaugeMerge, _: Store) -> Self {
        Self(match merge {
            GaugeMerge::MostRecent => Cells::MostRecent(MostRecentCells::nowhere()),
            _ => Cells::Plain(GaugeCell::nowhere()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_that_was_never_set_has_no_sample() {
        let registry = Registry::private().unwrap();
        for mode in GaugeMode::EVERY {
            let gauge = registry.gauge(&format!("unset_{mode}"), "", mode).unwrap();
            assert_eq!(gauge.get(), None);
            let gauge = registry.gauge(&format!("set_{mode}"), "", mode).unwrap();
            gauge.add(-1.5);
            gauge.inc();
            assert_eq!(gauge.get(), Some(-0.5));
            gauge.set(0.0);
        }
        let text = registry.render();
        for mode in GaugeMode::EVERY {
            assert!(text.contains(&format!("# TYPE unset_{mode} gauge\n")), "{text}");
            assert!(!text.contains(&format!("\nunset_{mode} ")), "{text}");
            assert!(text.contains(&format!("\nset_{mode} 0\n")), "{text}");
        }
    }

    #[test]
    fn threads_that_add_at_once_lose_nothing() {
        let registry = Registry::private().unwrap();
        let gauge = registry.gauge("g", "", GaugeMode::LiveSum).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| gauge.inc()));
            }
        });
        assert_eq!(gauge.get(), Some(8000.0));
    }
}
