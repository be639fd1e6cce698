//! Families: metrics that differ only in the values of their labels.
//!
//! Children are kept in a tree that only grows, so that looking one up takes no lock: each node holds a
//! child, and its branches are chosen by the bits of the labels' hash. A hit is decided by comparing
//! the labels themselves, never by the hash.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use headcount_store::format::family::Shape;
use headcount_store::write::{Registration, SpaceError, Store};

use crate::error::{RegisterError, report_lost};
use crate::series::{Found, Series};

/// A metric that can be a child of a family.
pub trait Metric: sealed::Metric {}

impl<M: sealed::Metric> Metric for M {}

/// Keeps [`Metric`] to the metrics of this crate.
pub(crate) mod sealed {
    use super::{Registration, Shape, SpaceError, Store};

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
        ) -> Result<Self, SpaceError>;

        /// A child that works and records nothing.
        fn lost(common: &'static Self::Common, store: Store) -> Self;
    }
}

/// Metrics of one name, one for each combination of label values.
///
/// A small handle. Looking up a child that exists takes no lock and allocates nothing; keep the child
/// where even that is too much.
pub struct Family<M: Metric, const N: usize>(&'static Children<M>);

/// The children of a family, by whatever type its labels are looked up.
pub(crate) struct Children<M: Metric> {
    series: Series<M>,
    hasher: RandomState,
    root: OnceLock<Box<Node<M>>>,
}

struct Node<M> {
    values: Box<[Box<str>]>,
    child: M,
    branches: [OnceLock<Box<Node<M>>>; BRANCHES],
}

const BRANCHES: usize = 8;
const BITS: u32 = BRANCHES.trailing_zeros();

impl<M: Metric> Children<M> {
    pub(crate) fn new(series: Series<M>) -> Self {
        Self { series, hasher: RandomState::default(), root: OnceLock::new() }
    }

    pub(crate) fn series(&self) -> &Series<M> {
        &self.series
    }

    pub(crate) fn find_or_create(&'static self, values: &[&str]) -> Result<M, RegisterError> {
        let hash = self.hasher.hash_one(values);
        match self.find(values, hash) {
            Ok(child) => Ok(child),
            Err(_) => self.create_child(values, hash),
        }
    }

    /// A child that works and records nothing, because of an error.
    #[cold]
    pub(crate) fn lost(&'static self, error: &RegisterError) -> M {
        report_lost(error);
        self.series.lost()
    }

    /// The child, or the empty place where it belongs.
    fn find(&self, values: &[&str], mut hash: u64) -> Result<M, &OnceLock<Box<Node<M>>>> {
        let mut place = &self.root;
        while let Some(node) = place.get() {
            if node.values.iter().zip(values).all(|(known, value)| **known == **value) {
                return Ok(node.child);
            }
            #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are wanted")]
            let branch = hash as usize % BRANCHES;
            place = &node.branches[branch];
            // Equal hashes of different labels, if they ever meet, make a chain.
            hash = hash.rotate_right(BITS);
        }
        Err(place)
    }

    #[cold]
    fn create_child(&'static self, values: &[&str], hash: u64) -> Result<M, RegisterError> {
        if self.series.is_full() {
            // It may have been created since.
            if let Ok(child) = self.find(values, hash) {
                return Ok(child);
            }
            if let Some(overflow) = self.series.overflow() {
                return Ok(overflow);
            }
        }
        self.find_or_create_under(&mut Registration::begin(), values)
    }

    /// As [`find_or_create`](Self::find_or_create), for who registers something already: nobody else adds to
    /// the tree.
    pub(crate) fn find_or_create_under(
        &'static self,
        registration: &mut Registration,
        values: &[&str],
    ) -> Result<M, RegisterError> {
        let place = match self.find(values, self.hasher.hash_one(values)) {
            Ok(child) => return Ok(child),
            Err(place) => place,
        };
        let child = match self.series.create(registration, values)? {
            Found::New(child) => child,
            Found::Overflow(child) => return Ok(child),
        };
        let values = values.iter().copied().map(Box::from).collect();
        let node = Node { values, child, branches: std::array::from_fn(|_| OnceLock::new()) };
        let _ = place.set(Box::new(node));
        self.series.remembered();
        Ok(child)
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
        self.0.find_or_create(&values)
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
