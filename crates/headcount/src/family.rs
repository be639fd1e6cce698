//! Families: metrics that differ only in the values of their labels.
//!
//! Children are found in a table (`table.rs`) by the words of their labels, without a lock. Labels that
//! stay where they are can be found by their addresses, in a table of its own, and labels of a type by what
//! that type knows of them: [`crate::labelled`]. Whatever way leads to a child, it is created by its text.

use std::fmt;
use std::time::Duration;

use headcount_store::format::family::Shape;
use headcount_store::write::{LifeCell, Registration, SeriesCells, SpaceError, Store};

use crate::children::Children;
use crate::error::RegisterError;
use crate::part::{Key, Part};
use crate::series::Found;

/// A metric that can be a child of a family.
pub trait Metric: sealed::Metric {}

impl<M: sealed::Metric> Metric for M {}

/// Keeps [`Metric`] to the metrics of this crate.
pub(crate) mod sealed {
    use super::{LifeCell, Registration, SeriesCells, Shape, SpaceError, Store};

    /// What a family needs to know of its metric.
    pub trait Metric: Copy + Send + Sync + 'static {
        /// What all children share.
        type Common: Send + Sync;

        /// What all children of a family of this shape share.
        fn common(shape: &Shape) -> Self::Common;

        /// Records a new child.
        fn create(
            common: &'static Self::Common,
            registration: &mut Registration,
            store: Store,
            family: u32,
            values: &[&str],
        ) -> Result<(Self, LifeCell), SpaceError>;

        /// The cells of a child.
        fn cells(self, common: &'static Self::Common) -> SeriesCells;

        /// A child that works and records nothing.
        fn lost(common: &'static Self::Common, store: Store) -> Self;
    }
}

/// Metrics of one name, one for each combination of label values.
///
/// A small handle. Looking up a child that exists takes no lock and allocates nothing; keep the child
/// where even that is too much.
pub struct Family<M: Metric, const N: usize>(&'static Children<M>);

/// Any number of texts.
impl Key for &[&str] {
    fn parts(&self, visit: impl FnMut(Part)) {
        self.iter().map(|value| Part::text(value)).for_each(visit);
    }

    fn has_texts(&self, texts: &[Box<str>]) -> bool {
        texts.iter().map(|text| &**text).eq(self.iter().copied())
    }
}

/// Texts with their parts, which are needed twice.
struct Texts<'a, const N: usize> {
    values: &'a [&'a str; N],
    parts: [Part; N],
}

impl<const N: usize> Key for Texts<'_, N> {
    #[inline(always)]
    fn parts(&self, visit: impl FnMut(Part)) {
        self.parts.into_iter().for_each(visit);
    }

    fn has_texts(&self, texts: &[Box<str>]) -> bool {
        self.values.as_slice().has_texts(texts)
    }
}

impl<M: Metric, const N: usize> Family<M, N> {
    pub(crate) fn of(children: &'static Children<M>) -> Self {
        Self(children)
    }

    /// Lets this metric have `limit` series in this process, instead of [`SERIES_LIMIT`](crate::SERIES_LIMIT).
    ///
    /// Label sets beyond that share one series, in which each label has the value `overflow`, and
    /// `headcount_series_overflows_total` counts how often one of them was asked for.
    ///
    /// ```
    /// use headcount::Counter;
    ///
    /// let visits = Counter::family("visits", "Visits.", ["country"])?.limited_to(2);
    /// for country in ["at", "ch", "de", "fr"] {
    ///     visits.with([country]).inc();
    /// }
    /// let text = headcount::render();
    /// assert!(text.contains("visits_total{country=\"overflow\"} 2\n"));
    /// assert!(text.contains("headcount_series_overflows_total{metric=\"visits\"} 2\n"));
    /// # Ok::<(), headcount::RegisterError>(())
    /// ```
    #[must_use = "a limit is set in a declaration, which goes on with the family"]
    pub fn limited_to(self, limit: u32) -> Self {
        self.0.series().limit_to(limit);
        self
    }

    /// Removes children that have not been updated for `idle`, a quarter of that later at most, as if by
    /// [`remove`](Self::remove). One that is looked up again is there again at once, one that is updated by a handle
    /// that was kept, after a quarter of `idle` or ten seconds.
    ///
    /// A thread of the process looks whether values have changed: a gauge that is set to what it was is idle. Do not use
    /// it for gauges of what goes on, which are counted up and down: such a gauge would begin again at 0. A child
    /// that was forked looks from when it creates its first series or says that it is
    /// [ready](crate::worker::Worker::ready).
    ///
    /// ```
    /// use std::time::Duration;
    /// use headcount::Counter;
    ///
    /// let visits = Counter::family("visits", "Visits.", ["customer"])?.expire_after(Duration::from_secs(3600));
    /// visits.with(["acme"]).inc();
    /// # Ok::<(), headcount::RegisterError>(())
    /// ```
    #[must_use = "this belongs to a declaration, which goes on with the family"]
    pub fn expire_after(self, idle: Duration) -> Self {
        self.0.expire_after(idle);
        self
    }

    /// Removes the child with these label values; tells whether there was one.
    ///
    /// It is no longer shown and has no part in the [limit](Self::limited_to). The merge over all processes shows
    /// the series for as long as another living process has it, with all that was ever counted: sums never fall.
    /// Looked up again, the child is there again and counts on from where it was, for the same reason. A gauge
    /// is as if it had never been set.
    ///
    /// Handles that were kept go on working: a gauge that is set is shown again; what others count is
    /// counted, and shown once the labels are looked up again.
    ///
    /// ```
    /// use headcount::Counter;
    ///
    /// let visits = Counter::family("visits", "Visits.", ["customer"])?;
    /// visits.with(["acme"]).inc();
    /// assert!(visits.remove(["acme"]) && !visits.remove(["acme"]));
    /// assert!(!headcount::render().contains("acme"));
    /// visits.with(["acme"]).inc();
    /// assert!(headcount::render().contains("visits_total{customer=\"acme\"} 2\n"));
    /// # Ok::<(), headcount::RegisterError>(())
    /// ```
    pub fn remove(self, values: [&str; N]) -> bool {
        self.0.remove(&values)
    }

    /// [Removes](Self::remove) all children.
    pub fn clear(self) {
        self.0.clear();
    }

    /// The child with these label values, in the order of the family's labels. It is created if need be.
    ///
    /// When there is no space for it, the child works and records nothing: the loss is counted in the
    /// file, and the merge exposes it. Beyond the [limit](Self::limited_to) it is the overflow.
    #[must_use]
    pub fn with(self, values: [&str; N]) -> M {
        self.try_with(values).unwrap_or_else(|error| self.0.lost(&error))
    }

    /// As [`with`](Self::with), for those who want to know.
    ///
    /// # Errors
    ///
    /// When there is no space for another series, or the values are too long.
    pub fn try_with(self, values: [&str; N]) -> Result<M, RegisterError> {
        match self.0.by_text().find(&Texts { values: &values, parts: values.map(Part::text) }) {
            Some(child) => Ok(child.metric),
            None => self.0.find_or_create(&values, |_, _| ()).map(Found::metric),
        }
    }

    /// As [`with`](Self::with), with texts that stay where they are, such as literals: they are found by
    /// their addresses, without looking at them.
    #[must_use]
    pub fn with_literals(self, values: [&'static str; N]) -> M {
        match self.0.by_address().find(&values) {
            Some(child) => child.metric,
            None => self.with_new_literals(values),
        }
    }

    #[cold]
    #[inline(never)]
    fn with_new_literals(self, values: [&'static str; N]) -> M {
        let found = self.0.find_or_create(&values, |registration, child| {
            self.0.by_address().remember(registration, &values, child);
        });
        found.map(Found::metric).unwrap_or_else(|error| self.0.lost(&error))
    }
}

impl<M: Metric> Family<M, 0> {
    /// The only child of a family without labels.
    pub(crate) fn only(self) -> Result<M, RegisterError> {
        self.try_with([])
    }
}

impl<M: Metric, const N: usize> Clone for Family<M, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Metric, const N: usize> Copy for Family<M, N> {}

impl<M: Metric, const N: usize> fmt::Debug for Family<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("name", &self.0.series().name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::Registry;

    #[test]
    fn labels_that_run_together_the_same_are_different_children() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a", "b"]).unwrap();
        family.with(["ab", "c"]).inc();
        family.with(["a", "bc"]).add(2);
        let text = registry.render();
        assert!(text.contains("c_total{a=\"ab\",b=\"c\"} 1\n"), "{text}");
        assert!(text.contains("c_total{a=\"a\",b=\"bc\"} 2\n"), "{text}");
    }

    #[test]
    fn labels_of_every_length_are_found_again_by_text_and_by_address() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a", "b", "c", "d", "e"]).unwrap();
        let text = "0123456789abcdefghijklmnopqrstuvwxyz";
        for (len, n) in (0..text.len()).zip(1..) {
            let values = [&text[..len], "x", &text[len..], "", "y"];
            family.with(values).add(n);
            family.with_literals(values).add(n);
            family.with(values.map(|value| value.to_owned()).each_ref().map(String::as_str)).add(n);
        }
        let rendered = registry.render();
        let lines: Vec<_> = rendered.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), text.len());
        assert!(lines.iter().zip(1..).all(|(line, n)| line.ends_with(&format!(" {}", 3 * n))), "{rendered}");
    }

    #[test]
    fn a_label_without_text_is_found_again_and_told_apart() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a", "b"]).unwrap();
        let long = "a text that has no room in two words";
        let sets = [["", ""], ["", "x"], ["x", ""], ["", long], [long, ""], ["x", "x"]];
        for _ in 0..2 {
            for (values, n) in sets.into_iter().zip(1..) {
                family.with(values).add(n);
                family.with_literals(values).add(n);
                // Texts of no length may be anywhere.
                family.with(values.map(|value| &value[value.len()..])).add(100);
            }
        }
        let text = registry.render();
        for ([a, b], n) in sets.into_iter().zip(1..) {
            let count = 4 * n + if a.is_empty() && b.is_empty() { 1200 } else { 0 };
            assert!(text.contains(&format!("c_total{{a=\"{a}\",b=\"{b}\"}} {count}\n")), "{text}");
        }
        assert_eq!(text.lines().count(), 2 + sets.len(), "{text}");
    }

    #[test]
    fn many_children_created_by_many_threads_at_once_are_each_created_once() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["n"]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..2000).for_each(|n| family.with([&n.to_string()]).inc()));
            }
        });
        let text = registry.render();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 2000);
        assert!(lines.iter().all(|line| line.ends_with(" 8")));
    }

    #[test]
    fn a_child_that_cannot_be_recorded_works_and_its_updates_are_counted_as_lost() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a"]).unwrap();
        let long = "x".repeat(1 << 20);
        assert!(family.try_with([&long]).is_err());
        family.with([&long]).inc();
        let image = headcount_store::write::Registration::begin().image(registry.store().unwrap()).unwrap();
        let header = image.header();
        assert_eq!((header.lost_series, header.lost_updates), (2, 1));
    }
}
