//! Families whose labels are known only when the program runs: for bridges from other ways to count, and for
//! middleware whose user says which labels there are.
//!
//! Where the labels are known when the program is written, a [`Family`](crate::Family) has them checked by the
//! compiler.

use std::fmt;
use std::time::Duration;

use headcount_store::format::family::Shape;
use headcount_store::metric::GaugeMode;

use crate::buckets::Buckets;
use crate::children::Children;
use crate::counter::{Counter, FloatCounter};
use crate::error::RegisterError;
use crate::family::Metric;
use crate::gauge::Gauge;
use crate::gauge_histogram::{self, GaugeHistogram};
use crate::histogram::{self, Histogram};
use crate::info::Info;
use crate::native::NativeHistogram;
use crate::native_buckets::NativeBuckets;
use crate::registry::Registry;
use crate::series::Found;
use crate::state_set::{self, StateSet};
use crate::summary::Summary;
use crate::up_down::{self, UpDown};

/// Metrics of one name, one for each combination of values of however many labels.
///
/// ```
/// use headcount::Registry;
///
/// let registry = Registry::private()?;
/// let labels: Vec<&str> = "zone,floor".split(',').collect();
/// let doors = registry.dynamic_counter("doors_opened", "Doors opened.", &labels)?;
/// doors.with(&["eu", "2"]).inc();
/// assert!(registry.render().contains("doors_opened_total{zone=\"eu\",floor=\"2\"} 1\n"));
/// # Ok::<(), headcount::RegisterError>(())
/// ```
///
/// A small handle. Looking up a child that exists takes no lock and allocates nothing.
pub struct DynamicFamily<M: Metric> {
    children: &'static Children<M>,
    labels: usize,
}

impl<M: Metric> DynamicFamily<M> {
    /// The child with these label values, in the order of the family's labels; see
    /// [`Family::with`](crate::Family::with). Values that are missing are empty, and those beyond the labels
    /// are not looked at.
    #[must_use]
    pub fn with(self, values: &[&str]) -> M {
        self.try_with(values).unwrap_or_else(|error| self.children.lost(&error))
    }

    /// As [`with`](Self::with), for those who want to know.
    ///
    /// # Errors
    ///
    /// When there is no space for another series, or the values are too long.
    pub fn try_with(self, values: &[&str]) -> Result<M, RegisterError> {
        if values.len() == self.labels {
            return self.find(values);
        }
        let missing = std::iter::repeat("");
        let values: Vec<&str> = values.iter().copied().chain(missing).take(self.labels).collect();
        self.find(&values)
    }

    fn find(self, values: &[&str]) -> Result<M, RegisterError> {
        match self.children.by_text().find(&values) {
            Some(child) => Ok(child.metric),
            None => self.children.find_or_create(values, |_, _| ()).map(Found::metric),
        }
    }

    /// Removes the child with these label values; see [`Family::remove`](crate::Family::remove).
    pub fn remove(self, values: &[&str]) -> bool {
        self.children.remove(values)
    }

    /// Removes all children.
    pub fn clear(self) {
        self.children.clear();
    }

    /// Removes children that are idle; see [`Family::expire_after`](crate::Family::expire_after).
    #[must_use = "this belongs to a declaration, which goes on with the family"]
    pub fn expire_after(self, idle: Duration) -> Self {
        self.children.expire_after(idle);
        self
    }
}

impl<M: Metric> Clone for DynamicFamily<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Metric> Copy for DynamicFamily<M> {}

impl<M: Metric> fmt::Debug for DynamicFamily<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.children.series().name();
        f.debug_struct("DynamicFamily").field("name", &name).finish_non_exhaustive()
    }
}

/// Families with as many labels as there are in a slice.
impl Registry {
    fn dynamic<M: Metric>(
        self,
        name: &str,
        help: &str,
        shape: &Shape,
        labels: &[&str],
    ) -> Result<DynamicFamily<M>, RegisterError> {
        let children = self.register(name, help, shape, labels)?;
        Ok(DynamicFamily { children, labels: labels.len() })
    }

    /// Counters; see [`Counter::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_counter(
        self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<DynamicFamily<Counter>, RegisterError> {
        self.dynamic(name, help, &Shape::Counter, labels)
    }

    /// Counters of fractions; see [`FloatCounter::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_float_counter(
        self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<DynamicFamily<FloatCounter>, RegisterError> {
        self.dynamic(name, help, &Shape::FloatCounter, labels)
    }

    /// Gauges; see [`Gauge::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_gauge(
        self,
        name: &str,
        help: &str,
        mode: GaugeMode,
        labels: &[&str],
    ) -> Result<DynamicFamily<Gauge>, RegisterError> {
        self.dynamic(name, help, &Shape::Gauge(mode), labels)
    }

    /// Gauges of differences; see [`UpDown::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_up_down(
        self,
        name: &str,
        help: &str,
        mode: GaugeMode,
        labels: &[&str],
    ) -> Result<DynamicFamily<UpDown>, RegisterError> {
        self.dynamic(name, help, &up_down::shape(name, mode)?, labels)
    }

    /// Histograms; see [`Histogram::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_histogram(
        self,
        name: &str,
        help: &str,
        buckets: &Buckets,
        labels: &[&str],
    ) -> Result<DynamicFamily<Histogram>, RegisterError> {
        self.dynamic(name, help, &histogram::shape(buckets), labels)
    }

    /// Gauge histograms; see [`GaugeHistogram::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_gauge_histogram(
        self,
        name: &str,
        help: &str,
        buckets: &Buckets,
        labels: &[&str],
    ) -> Result<DynamicFamily<GaugeHistogram>, RegisterError> {
        self.dynamic(name, help, &gauge_histogram::shape(buckets), labels)
    }

    /// Native histograms; see [`NativeHistogram::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_native_histogram(
        self,
        name: &str,
        help: &str,
        buckets: NativeBuckets,
        labels: &[&str],
    ) -> Result<DynamicFamily<NativeHistogram>, RegisterError> {
        self.dynamic(name, help, &buckets.into_shape(), labels)
    }

    /// Summaries; see [`Summary::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_summary(
        self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<DynamicFamily<Summary>, RegisterError> {
        self.dynamic(name, help, &Shape::Summary, labels)
    }

    /// Facts; see [`Info::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_info(
        self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<DynamicFamily<Info>, RegisterError> {
        self.dynamic(name, help, &Shape::Info, labels)
    }

    /// Sets of these states; see [`StateSet::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn dynamic_state_set(
        self,
        name: &str,
        help: &str,
        states: &[&str],
        labels: &[&str],
    ) -> Result<DynamicFamily<StateSet>, RegisterError> {
        self.dynamic(name, help, &state_set::shape(name, states)?, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_number_are_those_of_a_family_with_as_many() {
        let registry = Registry::private().unwrap();
        let dynamic = registry.dynamic_counter("c", "", &["a", "b"]).unwrap();
        dynamic.with(&["x", "y"]).inc();
        registry.counter_family("c", "", ["a", "b"]).unwrap().with(["x", "y"]).inc();
        dynamic.with(&["x"]).inc();
        dynamic.with(&["x", "", "z"]).inc();
        let text = registry.render();
        assert!(text.contains("c_total{a=\"x\",b=\"y\"} 2\n"), "{text}");
        assert!(text.contains("c_total{a=\"x\",b=\"\"} 2\n"), "{text}");
    }

    #[test]
    fn every_kind_may_have_labels_of_any_number() {
        let registry = Registry::private().unwrap();
        let (labels, values) = (["a", "b"], ["x", "y"]);
        let buckets = Buckets::new([1.0]).unwrap();
        registry.dynamic_counter("counter", "", &labels).unwrap().with(&values).inc();
        registry.dynamic_float_counter("float", "", &labels).unwrap().with(&values).add(0.5);
        registry.dynamic_gauge("gauge", "", GaugeMode::Sum, &labels).unwrap().with(&values).set(2.0);
        registry.dynamic_up_down("up_down", "", GaugeMode::Sum, &labels).unwrap().with(&values).inc();
        registry.dynamic_histogram("histogram", "", &buckets, &labels).unwrap().with(&values).observe(1.5);
        let lengths = registry.dynamic_gauge_histogram("lengths", "", &buckets, &labels).unwrap();
        lengths.with(&values).set([0.5, 2.5]);
        let native =
            registry.dynamic_native_histogram("native", "", NativeBuckets::default(), &labels).unwrap();
        native.with(&values).observe(1.5);
        registry.dynamic_summary("summary", "", &labels).unwrap().with(&values).observe(1.5);
        registry.dynamic_info("build", "", &labels).unwrap().with(&values).hold();
        let phase = registry.dynamic_state_set("phase", "", &["on", "off"], &labels).unwrap();
        phase.with(&values).set("on");
        let text = registry.render();
        for sample in [
            "counter_total{} 1",
            "float_total{} 0.5",
            "gauge{} 2",
            "up_down{} 1",
            "histogram_count{} 1",
            "lengths_gsum{} 3",
            "native_count{} 1",
            "summary_sum{} 1.5",
            "build_info{} 1",
        ] {
            let sample = sample.replace("{}", "{a=\"x\",b=\"y\"}");
            assert!(text.contains(&format!("\n{sample}\n")), "{sample} is not in {text}");
        }
        assert!(text.contains("phase{a=\"x\",b=\"y\",phase=\"on\"} 1\n"), "{text}");
        let refused = registry.dynamic_state_set("none", "", &[], &labels).unwrap_err();
        assert!(matches!(refused, RegisterError::States { .. }), "{refused}");
    }

    #[test]
    fn a_name_may_have_other_labels_in_a_registry_beside_and_is_rendered_as_one() {
        let registry = Registry::private().unwrap();
        registry.dynamic_counter("c", "Help.", &["a"]).unwrap().with(&["x"]).inc();
        let refused = registry.dynamic_counter("c", "Help.", &["b"]).unwrap_err();
        assert!(matches!(refused, RegisterError::Different { difference: "set of labels", .. }));
        registry.beside().dynamic_counter("c", "Help.", &["b"]).unwrap().with(&["y"]).add(2);
        let text = registry.render();
        let page = "# HELP c_total Help.\n# TYPE c_total counter\nc_total{a=\"x\"} 1\nc_total{b=\"y\"} 2\n";
        assert_eq!(text, page);
    }
}
