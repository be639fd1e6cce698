//! What takes the place of a metric that could not be created.

use headcount_store::format::family::Shape;

use crate::children::Children;
use crate::counter::{Counter, FloatCounter};
use crate::error::{RegisterError, report};
use crate::family::{Family, Metric};
use crate::gauge::Gauge;
use crate::gauge_histogram::GaugeHistogram;
use crate::histogram::Histogram;
use crate::info::Info;
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::native::NativeHistogram;
use crate::registry::Registry;
use crate::series::Series;
use crate::state_set::StateSet;
use crate::summary::Summary;
use crate::up_down::UpDown;

/// Results that need not be looked at: whoever only counts goes on without counting.
pub trait OrNoop {
    /// What was to be created.
    type Created;

    /// What was created; if it could not be, something in its place that works and records nothing.
    ///
    /// Then one line on standard error says why (or what [`report_to`](crate::error::report_to) was given), the
    /// attempt is in `headcount_lost_series_total` and updates are in `headcount_lost_updates_total`, if there is
    /// a file to count them in. In [strict](crate::error::strict) mode it panics.
    ///
    /// ```
    /// use std::sync::LazyLock;
    /// use headcount::{Counter, OrNoop};
    ///
    /// static REQUESTS: LazyLock<Counter> =
    ///     LazyLock::new(|| Counter::new("requests", "Requests answered.").or_noop());
    ///
    /// REQUESTS.inc();
    /// assert!(headcount::render().contains("requests_total 1\n"));
    /// ```
    fn or_noop(self) -> Self::Created;
}

impl<M: Metric, const N: usize> OrNoop for Result<Family<M, N>, RegisterError> {
    type Created = Family<M, N>;

    fn or_noop(self) -> Family<M, N> {
        self.unwrap_or_else(|error| {
            report(&error);
            Family::of(nowhere())
        })
    }
}

impl<M: Metric, L: Labels> OrNoop for Result<Labelled<M, L>, RegisterError> {
    type Created = Labelled<M, L>;

    fn or_noop(self) -> Labelled<M, L> {
        self.unwrap_or_else(|error| {
            report(&error);
            Labelled::of(nowhere(), 0)
        })
    }
}

/// Children that work and record nothing.
fn nowhere<M: Metric>() -> &'static Children<M> {
    // Where nothing is recorded, any shape will do: what it leaves open has a default.
    Box::leak(Box::new(Children::new(Series::new("", None, &Shape::Summary, 0, 0))))
}

macro_rules! metrics {
    ($($metric:ty)*) => {$(
        impl OrNoop for Result<$metric, RegisterError> {
            type Created = $metric;

            fn or_noop(self) -> $metric {
                self.unwrap_or_else(|error| {
                    report(&error);
                    Family::<_, 0>::of(nowhere()).with([])
                })
            }
        }
    )*};
}

metrics!(Counter FloatCounter Gauge GaugeHistogram Histogram Info NativeHistogram Summary UpDown);

impl<S: ?Sized + 'static> OrNoop for Result<StateSet<S>, RegisterError> {
    type Created = StateSet<S>;

    fn or_noop(self) -> StateSet<S> {
        self.unwrap_or_else(|error| {
            report(&error);
            Family::<_, 0>::of(nowhere()).with([])
        })
    }
}

impl OrNoop for Result<Registry, RegisterError> {
    type Created = Registry;

    fn or_noop(self) -> Registry {
        self.unwrap_or_else(|error| {
            report(&error);
            Registry::nowhere()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headcount_store::metric::GaugeMode;
    use headcount_store::write::Registration;

    use super::*;
    use crate::buckets::Buckets;

    #[test]
    fn a_metric_that_cannot_be_created_works_and_records_nothing() {
        let registry = Registry::private().unwrap();
        registry.counter("bad-name", "").or_noop().add(1);
        registry.float_counter("bad-name", "").or_noop().add(1.5);
        registry.summary("bad-name", "").or_noop().observe(1.0);
        registry.histogram("bad-name", "", Buckets::default()).or_noop().observe_duration(Duration::MAX);
        for mode in [GaugeMode::LiveSum, GaugeMode::MostRecent] {
            registry.gauge("bad-name", "", mode).or_noop().set(1.0);
        }
        registry.up_down("bad-name", "", GaugeMode::Sum).or_noop().inc();
        registry.info("bad-name", "", [("a", "b")]).or_noop().hold();
        let gauges = registry.gauge_histogram("bad-name", "", Buckets::default()).or_noop();
        gauges.set([1.0, f64::NAN]);
        gauges.inc(f64::INFINITY);
        registry.state_set("bad-name", "", ["on"]).or_noop().set("on");
        registry.state_set_of::<bool>("bad-name", "").or_noop().enable(&true);
        let family = registry.counter_family("bad-name", "", ["a"]).or_noop();
        family.with(["x"]).inc();
        assert!(family.try_with(["y"]).is_ok());
        assert_eq!(registry.render(), "");
        let image = Registration::begin().image(registry.store().unwrap()).unwrap();
        assert_eq!(image.header().lost_series, 12);
    }

    #[test]
    fn so_do_the_metrics_of_a_registry_that_cannot_be_created() {
        let registry = Registry::in_directory("/no/such/directory").or_noop().with_prefix("app_");
        let counter = registry.counter("c", "");
        assert!(matches!(counter, Err(RegisterError::NoRegistry { ref name }) if name == "app_c"));
        counter.or_noop().inc();
        assert_eq!(registry.render(), "");
    }

    #[test]
    fn what_exists_with_another_definition_is_left_as_it_is() {
        let registry = Registry::private().unwrap();
        registry.counter("c", "One help text.").unwrap().inc();
        registry.counter("c", "Another.").or_noop().add(7);
        assert!(registry.render().contains("c_total 1\n"));
    }
}
