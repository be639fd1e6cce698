//! A family's series: where they are created, and how many there may be.
//!
//! Beyond the limit, label sets that are new share one series, the overflow, whose labels all have the value
//! `overflow`. So whoever chooses label values cannot fill the memory of the process, or of Prometheus. Sets
//! that were there before go on as they are.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use headcount_store::format::family::Shape;
use headcount_store::write::{Registration, Store};

use crate::counter::Counter;
use crate::error::RegisterError;
use crate::family::Metric;
use crate::registry::Registry;

/// How many series a metric may have in one process, unless it says otherwise.
pub const SERIES_LIMIT: u32 = 10_000;

/// The value of all labels of a metric's overflow.
const OVERFLOW: &str = "overflow";

/// What it takes to create the series of a family.
#[derive(Debug)]
pub(crate) struct Series<M: Metric> {
    name: String,
    place: Option<Place>,
    common: M::Common,
    /// How many labels the caller gives values for.
    labels: usize,
    limit: AtomicU32,
    created: AtomicU32,
    overflow: OnceLock<Overflow<M>>,
}

/// Where series are recorded. A family that could not be created has none.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) registry: Registry,
    pub(crate) store: Store,
    /// The family's number in the file.
    pub(crate) number: u32,
}

/// The series that takes what is beyond the limit.
#[derive(Debug)]
pub(crate) struct Overflow<M> {
    child: M,
    lookups: Option<Counter>,
}

/// A series that was asked for.
pub(crate) enum Found<M: 'static> {
    /// The one with these labels, to be remembered; if it is new, to be [counted](Series::remembered) then.
    Child(M),
    /// The overflow, not to be remembered.
    Overflow(&'static Overflow<M>),
}

impl<M: Copy> Found<M> {
    /// The metric. Counts if it is the overflow, which must not happen under a [`Registration`]: an update may
    /// take the same lock.
    pub(crate) fn metric(self) -> M {
        match self {
            Self::Child(metric) => metric,
            Self::Overflow(overflow) => {
                if let Some(lookups) = overflow.lookups {
                    lookups.inc();
                }
                overflow.child
            }
        }
    }
}

impl<M: Metric> Series<M> {
    pub(crate) fn new(name: &str, place: Option<Place>, shape: &Shape, labels: usize, limit: u32) -> Self {
        Self {
            name: name.to_owned(),
            place,
            common: M::common(shape),
            labels,
            limit: AtomicU32::new(limit),
            created: AtomicU32::new(0),
            overflow: OnceLock::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn limit_to(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Whether there are as many series as may be. All that were [counted](Self::remembered) can be found by
    /// whoever has seen this.
    pub(crate) fn is_full(&self) -> bool {
        let limited = self.labels > 0 || self.place.is_none();
        limited && self.created.load(Ordering::Acquire) >= self.limit.load(Ordering::Relaxed)
    }

    /// The overflow, once there is one.
    pub(crate) fn overflow(&'static self) -> Option<Found<M>> {
        self.overflow.get().map(Found::Overflow)
    }

    /// Creates the series with these values; the overflow, if there are enough of them.
    pub(crate) fn create(
        &'static self,
        registration: &mut Registration,
        values: &[&str],
    ) -> Result<Found<M>, RegisterError> {
        let Some(place) = &self.place else { return Ok(self.keep(self.lost(), None)) };
        if !self.is_full() {
            return self.record(registration, place, values).map(Found::Child);
        }
        if let Some(overflow) = self.overflow() {
            return Ok(overflow);
        }
        let child = self.record(registration, place, &vec![OVERFLOW; self.labels])?;
        let lookups = place.registry.count_overflows(registration, &self.name);
        Ok(self.keep(child, lookups))
    }

    fn keep(&'static self, child: M, lookups: Option<Counter>) -> Found<M> {
        Found::Overflow(self.overflow.get_or_init(|| Overflow { child, lookups }))
    }

    fn record(
        &'static self,
        registration: &mut Registration,
        place: &Place,
        values: &[&str],
    ) -> Result<M, RegisterError> {
        let constant = place.registry.view().values();
        let values: Vec<&str> = constant.chain(values.iter().copied()).collect();
        M::create(&self.common, registration, place.store, place.number, &values)
            .map(|(child, _)| child)
            .map_err(|source| RegisterError::Space { name: self.name.clone(), source })
    }

    /// Counts a new series, which from now on is found.
    pub(crate) fn remembered(&self) {
        self.created.fetch_add(1, Ordering::Release);
    }

    /// A series that works and records nothing.
    pub(crate) fn lost(&'static self) -> M {
        let store = self.place.as_ref().map_or_else(Registry::store_of_the_lost, |place| place.store);
        M::lost(&self.common, store)
    }
}

#[cfg(test)]
mod tests {
    use crate::labels::{LabelValue, Labels, Value};
    use crate::registry::Registry;

    #[test]
    fn label_sets_beyond_the_limit_share_one_series_and_are_counted() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a", "b"]).unwrap().limited_to(2);
        for value in ["1", "2", "3", "4", "1"] {
            family.with([value, "x"]).inc();
        }
        let text = registry.render();
        assert!(text.contains("c_total{a=\"1\",b=\"x\"} 2\n"), "{text}");
        assert!(text.contains("c_total{a=\"2\",b=\"x\"} 1\n"), "{text}");
        assert!(text.contains("c_total{a=\"overflow\",b=\"overflow\"} 2\n"), "{text}");
        assert!(text.contains("headcount_series_overflows_total{metric=\"c\"} 2\n"), "{text}");
        assert_eq!(text.matches("c_total{").count(), 3, "{text}");
        family.limited_to(3).with(["5", "x"]).inc();
        assert!(registry.render().contains("c_total{a=\"5\",b=\"x\"} 1\n"));
    }

    #[test]
    fn a_limit_holds_for_the_metrics_of_a_registry_and_not_for_those_without_labels() {
        let registry = Registry::private().unwrap().with_series_limit(0);
        registry.counter("plain", "").unwrap().inc();
        registry.counter_family("labelled", "", ["a"]).unwrap().with(["x"]).inc();
        let text = registry.render();
        assert!(text.contains("plain_total 1\n"), "{text}");
        assert!(text.contains("labelled_total{a=\"overflow\"} 1\n"), "{text}");
    }

    #[test]
    fn labels_of_a_type_stand_under_the_limit_whether_they_are_numbered_or_not() {
        struct Set<T>(T);
        impl<T: LabelValue> Labels for Set<T> {
            const COUNT: Option<usize> = T::COUNT;

            fn names(prefix: &str, names: &mut Vec<String>) {
                names.push(format!("{prefix}a"));
            }

            fn index(&self) -> usize {
                self.0.index()
            }

            fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>)) {
                visit(self.0.value());
            }
        }
        let registry = Registry::private().unwrap();
        let numbered = registry.labelled_counter("numbered", "").unwrap().limited_to(1);
        let numbers = registry.labelled_counter("numbers", "").unwrap().limited_to(1);
        for _ in 0..2 {
            [true, false].into_iter().for_each(|value| numbered.get(&Set(value)).inc());
            [7, 8].into_iter().for_each(|value| numbers.get(&Set(value)).inc());
        }
        let text = registry.render();
        for (name, first) in [("numbered", "true"), ("numbers", "7")] {
            assert!(text.contains(&format!("{name}_total{{a=\"{first}\"}} 2\n")), "{text}");
            assert!(text.contains(&format!("{name}_total{{a=\"overflow\"}} 2\n")), "{text}");
            assert!(text.contains(&format!("overflows_total{{metric=\"{name}\"}} 2\n")), "{text}");
        }
    }

    #[test]
    fn a_thread_may_begin_with_a_label_set_beyond_the_limit() {
        for _ in 0..20 {
            let registry = Registry::private().unwrap();
            let family = registry.counter_family("c", "", ["n"]).unwrap().limited_to(0);
            let begin = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for n in 0..8 {
                    let begin = &begin;
                    scope.spawn(move || {
                        begin.wait();
                        family.with([&n.to_string()]).inc();
                    });
                }
            });
            let text = registry.render();
            assert!(text.contains("c_total{n=\"overflow\"} 8\n"), "{text}");
            assert!(text.contains("headcount_series_overflows_total{metric=\"c\"} 8\n"), "{text}");
        }
    }

    #[test]
    fn threads_that_meet_at_the_limit_create_no_series_too_many_and_lose_nothing() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["n"]).unwrap().limited_to(100);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..200).for_each(|n| family.with([&n.to_string()]).inc()));
            }
        });
        let text = registry.render();
        let values: Vec<u64> = text
            .lines()
            .filter_map(|line| line.strip_prefix("c_total{")?.split_once("} ")?.1.parse().ok())
            .collect();
        assert_eq!((values.len(), values.iter().sum::<u64>()), (101, 1600), "{text}");
        assert_eq!(values.iter().filter(|&&value| value == 8).count(), 100, "{text}");
    }
}
