//! Families whose labels are counted at run time.
//!
//! The worker crate has the number of labels in a family's type; how many a metric of the middleware has,
//! its user says. Only series that are new come through here, so a call by a table costs nothing.

use headcount::family::Metric;
use headcount::{Buckets, Counter, Family, Gauge, GaugeMode, Histogram, Registry, Summary};

use crate::error::BuildError;

/// A family with as many labels as it has.
pub(crate) trait Children<M>: Send + Sync {
    /// The child with these values, of which there are as many as labels.
    fn child(&self, values: &[&str]) -> M;
}

impl<M: Metric, const N: usize> Children<M> for Family<M, N> {
    fn child(&self, values: &[&str]) -> M {
        let mut own = [""; N];
        own.iter_mut().zip(values).for_each(|(own, value)| *own = value);
        self.with(own)
    }
}

pub(crate) type Labelled<M> = Box<dyn Children<M>>;

/// The most labels that a metric may have: those that the middleware knows, constant and computed ones.
pub const MOST_LABELS: usize = 12;

/// Makes a family of as many labels as there are.
macro_rules! with_labels {
    ($name:expr, $labels:expr, |$array:ident| $make:expr) => {
        with_labels!($name, $labels, |$array| $make, 0 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    ($name:expr, $labels:expr, |$array:ident| $make:expr, $($count:literal)*) => {
        match $labels.len() {
            $($count => {
                let $array: [&str; $count] = std::array::from_fn(|at| $labels[at]);
                Ok(Box::new($make?))
            })*
            count => Err(BuildError::TooManyLabels { name: $name.to_owned(), count }),
        }
    };
}

pub(crate) fn counter(
    registry: Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<Labelled<Counter>, BuildError> {
    with_labels!(name, labels, |array| registry.counter_family(name, help, array))
}

pub(crate) fn gauge(
    registry: Registry,
    name: &str,
    help: &str,
    mode: GaugeMode,
    labels: &[&str],
) -> Result<Labelled<Gauge>, BuildError> {
    with_labels!(name, labels, |array| registry.gauge_family(name, help, mode, array))
}

pub(crate) fn histogram(
    registry: Registry,
    name: &str,
    help: &str,
    buckets: &Buckets,
    labels: &[&str],
) -> Result<Labelled<Histogram>, BuildError> {
    with_labels!(name, labels, |array| registry.histogram_family(name, help, buckets.clone(), array))
}

pub(crate) fn summary(
    registry: Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<Labelled<Summary>, BuildError> {
    with_labels!(name, labels, |array| registry.summary_family(name, help, array))
}
