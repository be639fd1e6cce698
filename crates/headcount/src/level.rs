//! What goes on: guards that count it in a gauge until they are dropped, whatever ends their scope.

use std::ops::Deref;

use crate::gauge::Gauge;
use crate::up_down::UpDown;

/// What goes up and down: gauges, those of differences among them, and whatever leads to one, such as a `LazyLock`.
///
/// ```
/// use headcount::{GaugeMode, Level, OrNoop, UpDown};
///
/// fn open(connections: &impl Level) {
///     connections.up();
/// }
///
/// let connections = UpDown::new("connections", "Connections that are open.", GaugeMode::LiveSum).or_noop();
/// open(&connections);
/// assert_eq!(connections.get(), 1.0);
/// ```
pub trait Level {
    /// Adds 1.
    fn up(&self);

    /// Subtracts 1.
    fn down(&self);
}

impl Level for Gauge {
    #[inline]
    fn up(&self) {
        self.inc();
    }

    #[inline]
    fn down(&self) {
        self.dec();
    }
}

impl Level for UpDown {
    #[inline]
    fn up(&self) {
        self.inc();
    }

    #[inline]
    fn down(&self) {
        self.dec();
    }
}

impl<P: Deref<Target: Level>> Level for P {
    #[inline]
    fn up(&self) {
        (**self).up();
    }

    #[inline]
    fn down(&self) {
        (**self).down();
    }
}

/// Counts 1 in a gauge for as long as it lives.
#[derive(Debug)]
#[must_use = "what is dropped at once was never in flight"]
pub struct InFlight<G: Level = Gauge>(G);

impl<G: Level> InFlight<G> {
    /// Begins now.
    pub fn start(gauge: G) -> Self {
        gauge.up();
        Self(gauge)
    }
}

impl<G: Level> Drop for InFlight<G> {
    fn drop(&mut self) {
        self.0.down();
    }
}

impl Gauge {
    /// Adds 1 until what is returned is dropped.
    ///
    /// ```
    /// use headcount::{Gauge, GaugeMode};
    ///
    /// let uploads = Gauge::new("uploads_in_flight", "Uploads going on.", GaugeMode::LiveSum)?;
    /// {
    ///     let _upload = uploads.in_flight();
    ///     assert_eq!(uploads.get(), Some(1.0));
    /// }
    /// assert_eq!(uploads.get(), Some(0.0));
    /// # Ok::<(), headcount::RegisterError>(())
    /// ```
    pub fn in_flight(&self) -> InFlight {
        InFlight::start(*self)
    }
}

impl UpDown {
    /// Adds 1 until what is returned is dropped.
    pub fn in_flight(&self) -> InFlight<Self> {
        InFlight::start(*self)
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::metric::GaugeMode;

    use crate::registry::Registry;

    #[test]
    fn a_panic_ends_what_was_in_flight() {
        let gauge = Registry::private().unwrap().gauge("g", "", GaugeMode::LiveSum).unwrap();
        let result = std::panic::catch_unwind(|| {
            let _guard = gauge.in_flight();
            assert_eq!(gauge.get(), Some(1.0));
            panic!("expected");
        });
        assert!(result.is_err());
        assert_eq!(gauge.get(), Some(0.0));
    }
}
