//! Why a metric could not be created.

use headcount_store::metric::{Kind, NameError};
use headcount_store::write::{CreateError, SpaceError};

use crate::buckets::BucketError;

/// A metric could not be created, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The name of the metric or of a label breaks a rule of Prometheus.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A label that the merge itself puts on samples of this kind.
    #[error("label `{label}` of `{name}` is taken: a {kind} puts it on its samples itself")]
    ReservedLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
        /// The metric's kind.
        kind: Kind,
    },
    /// The same label twice.
    #[error("`{name}` has the label `{label}` twice")]
    DuplicateLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
    },
    /// Bucket bounds that make no histogram.
    #[error("the buckets of `{name}` make no histogram")]
    Buckets {
        /// The metric.
        name: String,
        /// What is wrong with them.
        source: BucketError,
    },
    /// There is a metric of that name, and it is another one.
    #[error("`{name}` exists already, with another {difference}")]
    Different {
        /// The metric.
        name: String,
        /// What differs: the kind, the help text, the labels.
        difference: &'static str,
    },
    /// A sample of this metric would have the name of another metric's.
    #[error("`{name}` would expose `{sample}`, which is a sample of `{other}`")]
    Taken {
        /// The metric.
        name: String,
        /// The sample's name.
        sample: String,
        /// The metric that has it.
        other: String,
    },
    /// There is no file to record it in.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// There is no space in the file.
    #[error("`{name}` cannot be recorded")]
    Space {
        /// The metric.
        name: String,
        /// Why not.
        source: SpaceError,
    },
    /// The directory was to be chosen after the first metric had chosen it.
    #[error("metrics are in use already: choose the directory before the first one is created")]
    TooLate,
}
