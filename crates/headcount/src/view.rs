//! What a registry puts on its metrics: a prefix before their names, and labels that are always the same.

use std::borrow::Cow;

use headcount_store::metric::Kind;

use crate::registry::Registry;
use crate::series::SERIES_LIMIT;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct View {
    prefix: String,
    unit: String,
    labels: Vec<(String, String)>,
    pub(crate) series_limit: u32,
}

impl View {
    /// Puts nothing on anything.
    pub(crate) const PLAIN: &'static Self =
        &Self { prefix: String::new(), unit: String::new(), labels: Vec::new(), series_limit: SERIES_LIMIT };

    /// The same, for what counts how often limits are reached.
    pub(crate) const UNLIMITED: &'static Self =
        &Self { prefix: String::new(), unit: String::new(), labels: Vec::new(), series_limit: u32::MAX };

    /// The name of a family with what is put before and behind it.
    pub(crate) fn name(&self, name: &str, kind: Kind) -> String {
        let unit = self.unit(kind);
        let has_unit = unit.is_empty() || name.strip_suffix(unit).is_some_and(|name| name.ends_with('_'));
        let ending = if has_unit { String::new() } else { format!("_{unit}") };
        format!("{}{name}{ending}", self.prefix)
    }

    /// The unit of metrics of a kind; nothing, if they have none.
    pub(crate) fn unit(&self, kind: Kind) -> &str {
        match kind {
            Kind::Info | Kind::StateSet => "",
            _ => &self.unit,
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|(_, value)| value.as_str())
    }

    /// All values of a series, of which these are its own.
    pub(crate) fn with_values<'a>(&'a self, own: &'a [&'a str]) -> Cow<'a, [&'a str]> {
        if self.labels.is_empty() {
            return Cow::Borrowed(own);
        }
        self.values().chain(own.iter().copied()).collect()
    }
}

/// The same registry, in the same file, with something put on the metrics that are created through what is
/// returned. Each call keeps a little memory for ever: make it once, not per metric.
impl Registry {
    /// Puts `prefix` before the names of metrics, behind the prefix that there is.
    ///
    /// ```
    /// use headcount::Registry;
    ///
    /// let registry = Registry::global()?.with_prefix("shop_").with_labels([("zone", "eu")]);
    /// registry.counter("orders", "Orders taken.")?.inc();
    /// assert!(headcount::render().contains("shop_orders_total{zone=\"eu\"} 1\n"));
    /// # Ok::<(), headcount::RegisterError>(())
    /// ```
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        self.change(|view| view.prefix.push_str(prefix))
    }

    /// Puts labels with constant values on metrics, before their own labels.
    ///
    /// Two parts of a program may create the same metric with different values; the names have to be the same.
    /// The limit of series holds for each of them.
    #[must_use]
    pub fn with_labels<const N: usize>(self, labels: [(&str, &str); N]) -> Self {
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.change(|view| view.labels.extend(labels))
    }

    /// Says in which unit metrics are, in full and in the plural, as Prometheus would have it: `seconds`, `bytes`. A
    /// name that does not end with it gets it, behind an underscore and before the `_total` of a counter, as with
    /// Python's client. `OpenMetrics`, protobuf, JSON and OTLP say it beside. Infos and state sets have none.
    ///
    /// ```
    /// use headcount::{Buckets, Registry};
    ///
    /// let seconds = Registry::global()?.with_unit("seconds");
    /// seconds.float_counter("busy", "How long it was busy.")?.add(0.5);
    /// seconds.histogram("latency_seconds", "How long it takes.", Buckets::default())?.observe(0.1);
    /// let text = headcount::render();
    /// assert!(text.contains("busy_seconds_total 0.5\n") && text.contains("latency_seconds_count 1\n"));
    /// # Ok::<(), headcount::RegisterError>(())
    /// ```
    #[must_use]
    pub fn with_unit(self, unit: &str) -> Self {
        self.change(|view| unit.clone_into(&mut view.unit))
    }

    /// Lets metrics have `limit` series each, instead of [`SERIES_LIMIT`]; see
    /// [`Family::limited_to`](crate::Family::limited_to).
    #[must_use]
    pub fn with_series_limit(self, limit: u32) -> Self {
        self.change(|view| view.series_limit = limit)
    }

    fn change(self, change: impl FnOnce(&mut View)) -> Self {
        let mut view = self.view().clone();
        change(&mut view);
        self.seen_as(Box::leak(Box::new(view)))
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::metric::GaugeMode;

    use super::*;
    use crate::error::RegisterError;

    #[test]
    fn prefixes_and_labels_add_up_and_leave_the_registry_as_it_is() {
        let registry = Registry::private().unwrap();
        let shop = registry.with_prefix("shop_").with_labels([("zone", "eu")]);
        let tills = shop.with_prefix("till_").with_labels([("floor", "2")]);
        registry.counter("c", "").unwrap().inc();
        shop.counter("c", "").unwrap().add(2);
        tills.counter_family("c", "", ["a"]).unwrap().with(["x"]).add(3);
        tills.gauge("g", "", GaugeMode::LiveSum).unwrap().set(4.0);
        let text = registry.render();
        assert!(text.contains("\nc_total 1\n"), "{text}");
        assert!(text.contains("\nshop_c_total{zone=\"eu\"} 2\n"), "{text}");
        assert!(text.contains("\nshop_till_c_total{zone=\"eu\",floor=\"2\",a=\"x\"} 3\n"), "{text}");
        assert!(text.contains("\nshop_till_g{zone=\"eu\",floor=\"2\"} 4\n"), "{text}");
    }

    #[test]
    fn one_metric_may_be_created_with_several_values_of_constant_labels() {
        let registry = Registry::private().unwrap();
        for (queue, n) in [("a", 1), ("b", 2), ("a", 4)] {
            registry.with_labels([("queue", queue)]).counter("jobs", "").unwrap().add(n);
        }
        let text = registry.render();
        assert!(text.contains("jobs_total{queue=\"a\"} 5\n"), "{text}");
        assert!(text.contains("jobs_total{queue=\"b\"} 2\n"), "{text}");
        assert_eq!(text.matches("# TYPE jobs").count(), 1, "{text}");
    }

    #[test]
    fn constant_labels_are_labels_and_stand_under_their_rules() {
        let registry = Registry::private().unwrap().with_labels([("a", "x")]);
        let twice = registry.counter_family("c", "", ["a"]).unwrap_err();
        assert!(matches!(twice, RegisterError::DuplicateLabel { .. }));
        registry.counter("d", "").unwrap();
        let other = registry.with_labels([("b", "y")]).counter("d", "").unwrap_err();
        assert!(matches!(other, RegisterError::Different { difference: "set of labels", .. }));
        let own = Registry::private().unwrap();
        own.with_labels([("a", "x")]).counter("e", "").unwrap();
        let own = own.counter_family("e", "", ["a"]).unwrap_err();
        assert!(matches!(own, RegisterError::Different { difference: "set of constant labels", .. }));
        let bad = Registry::private().unwrap().with_prefix("9").counter("c", "").unwrap_err();
        assert!(bad.to_string().contains("begins with `9`"), "{bad}");
    }
}
