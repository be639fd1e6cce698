//! Why the middleware could not be built.

use headcount::RegisterError;

use crate::label::MOST_LABELS;

/// The metrics of the middleware could not be created, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A metric could not be created.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A metric would have more labels than fit.
    #[error("`{name}` would have {count} labels, {MOST_LABELS} is the most")]
    TooManyLabels {
        /// The metric.
        name: String,
        /// How many labels it would have, constant and computed ones included.
        count: usize,
    },
}
