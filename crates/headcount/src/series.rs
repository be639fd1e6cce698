//! A family's series: where they are created, and how many there may be.
//!
//! Beyond the limit, label sets that are new share one series, the overflow, whose labels all have the value
//! `overflow`. So whoever chooses label values cannot fill the memory of the process, or of Prometheus. Sets
//! that were there before go on as they are.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use headcount_store::format::family::Shape;
use headcount_store::write::{LifeCell, Registration, Store};

use crate::bytes;
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
    /// How many there are, but for those that were removed.
    count: AtomicU32,
    /// Every series that was created, by its number. Taken only under a [`Registration`].
    known: Mutex<Vec<Known>>,
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

/// A series of a family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child<M> {
    pub(crate) metric: M,
    /// In the order in which they were created, from 0.
    pub(crate) number: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    life: LifeCell,
    presence: Presence,
}

/// Whether a series is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Presence {
    Shown,
    /// Somebody has asked for that.
    Removed,
    /// It was idle for too long.
    Expired,
}

/// The series that takes what is beyond the limit.
#[derive(Debug)]
pub(crate) struct Overflow<M> {
    metric: M,
    life: LifeCell,
    is_shown: AtomicBool,
    lookups: Option<Counter>,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Of the metric.
    Series,
    /// Of the process.
    Bytes,
}

/// A series that was asked for.
pub(crate) enum Found<M: 'static> {
    /// The one with these labels, to be remembered; if it is new, to be [counted](Series::remembered) then.
    Child(Child<M>),
    /// The overflow, not to be remembered.
    Overflow(&'static Overflow<M>),
}

impl<M: Copy> Found<M> {
    /// The metric. Counts if it is the overflow, which must not happen under a [`Registration`]: an update may
    /// take the same lock.
    pub(crate) fn metric(self) -> M {
        match self {
            Self::Child(child) => child.metric,
            Self::Overflow(overflow) => {
                if let Some(lookups) = overflow.lookups {
                    lookups.inc();
                }
                overflow.metric
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
            count: AtomicU32::new(0),
            known: Mutex::default(),
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
        let limit = self.limit.load(Ordering::Relaxed);
        // What counts the overflows has no limit at all.
        let are_enough = |count| count >= limit || (limit < u32::MAX && bytes::are_used_up());
        limited && are_enough(self.count.load(Ordering::Acquire))
    }

    /// The overflow, once there is one, and for as long as it is shown.
    pub(crate) fn overflow(&'static self) -> Option<Found<M>> {
        let shown = |overflow: &&Overflow<M>| overflow.is_shown.load(Ordering::Relaxed);
        self.overflow.get().filter(shown).map(Found::Overflow)
    }

    /// Creates the series with these values; the overflow, if there are enough of them.
    pub(crate) fn create(
        &'static self,
        registration: &mut Registration,
        values: &[&str],
    ) -> Result<Found<M>, RegisterError> {
        let Some(place) = &self.place else { return Ok(self.keep(self.lost(), LifeCell::NONE, None)) };
        if !self.is_full() {
            let (metric, life) = self.record(registration, place, values)?;
            let mut known = self.known();
            let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
            known.push(Known { life, presence: Presence::Shown });
            return Ok(Found::Child(Child { metric, number }));
        }
        if let Some(overflow) = self.overflow.get() {
            self.set_overflow_shown(registration, true);
            return Ok(Found::Overflow(overflow));
        }
        let (metric, life) = self.record(registration, place, &vec![OVERFLOW; self.labels])?;
        let is_full = self.count.load(Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed);
        let limit = if is_full { Limit::Series } else { Limit::Bytes };
        let lookups = place.registry.count_overflows(registration, &self.name, limit);
        Ok(self.keep(metric, life, lookups))
    }

    fn keep(&'static self, metric: M, life: LifeCell, lookups: Option<Counter>) -> Found<M> {
        let is_shown = AtomicBool::new(true);
        Found::Overflow(self.overflow.get_or_init(|| Overflow { metric, life, is_shown, lookups }))
    }

    fn record(
        &'static self,
        registration: &mut Registration,
        place: &Place,
        values: &[&str],
    ) -> Result<(M, LifeCell), RegisterError> {
        let values = place.registry.view().with_values(values);
        M::create(&self.common, registration, place.store, place.number, &values)
            .map_err(|source| RegisterError::Space { name: self.name.clone(), source })
    }

    /// Counts a new series, which from now on is found.
    pub(crate) fn remembered(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    /// To be called only under a [`Registration`].
    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a series is there. To be called only under a [`Registration`].
    pub(crate) fn presence(&self, child: &Child<M>) -> Presence {
        self.known()[child.number as usize].presence
    }

    /// Says whether a series is there. One that is not frees its place under the limit.
    pub(crate) fn set_presence(
        &'static self,
        registration: &mut Registration,
        child: &Child<M>,
        presence: Presence,
    ) {
        let mut known = self.known();
        let known = &mut known[child.number as usize];
        let (was_shown, is_shown) = (known.presence == Presence::Shown, presence == Presence::Shown);
        known.presence = presence;
        if was_shown != is_shown {
            self.show(registration, child.metric, known.life, is_shown);
            if is_shown {
                self.remembered();
            } else {
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Says whether the overflow is there.
    pub(crate) fn set_overflow_shown(&'static self, registration: &mut Registration, is_shown: bool) {
        if let Some(overflow) = self.overflow.get()
            && overflow.is_shown.swap(is_shown, Ordering::Relaxed) != is_shown
        {
            self.show(registration, overflow.metric, overflow.life, is_shown);
        }
    }

    fn show(&'static self, registration: &mut Registration, metric: M, life: LifeCell, is_shown: bool) {
        let Some(place) = &self.place else { return };
        registration.set_removed(place.store, life, !is_shown);
        // What is set is shown once it is set again.
        if !is_shown {
            metric.cells(&self.common).unset();
        }
    }

    /// A number that is another one once a series has been updated; `None` for what is not updated.
    pub(crate) fn trace(&'static self, registration: &Registration, metric: M) -> Option<u64> {
        registration.trace(metric.cells(&self.common))
    }

    /// The [trace](Self::trace) of the overflow, if it is there.
    pub(crate) fn overflow_trace(&'static self, registration: &Registration) -> Option<u64> {
        let shown = |overflow: &&Overflow<M>| overflow.is_shown.load(Ordering::Relaxed);
        self.overflow.get().filter(shown).and_then(|overflow| self.trace(registration, overflow.metric))
    }

    /// A series that works and records nothing.
    pub(crate) fn lost(&'static self) -> M {
        let store = self.place.as_ref().map_or_else(Registry::store_of_the_lost, |place| place.store);
        M::lost(&self.common, store)
    }
}

#[cfg(test)]
mod tests {
    use crate::one_label::OneLabel;
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
        let registry = Registry::private().unwrap();
        let numbered = registry.labelled_counter("numbered", "").unwrap().limited_to(1);
        let numbers = registry.labelled_counter("numbers", "").unwrap().limited_to(1);
        for _ in 0..2 {
            [true, false].into_iter().for_each(|value| numbered.get(&OneLabel(value)).inc());
            [7, 8].into_iter().for_each(|value| numbers.get(&OneLabel(value)).inc());
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
