//! What a registry of another client holds at one moment.

/// A metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposed {
    /// Its name, with or without the `_total` of a counter.
    pub name: String,
    /// Its help text.
    pub help: String,
    /// Its kind.
    pub kind: Kind,
    /// Its series.
    pub samples: Vec<Sample>,
}

/// A kind of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What only rises.
    Counter,
    /// What is set.
    Gauge,
    /// Observations by bucket.
    Histogram,
    /// Observations and their sum. Quantiles of several processes cannot be merged, and are left out.
    Summary,
    /// A fact, told by labels.
    Info,
}

/// A series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// What it has come to.
    pub value: Value,
}

/// What a series has come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's total, or what a gauge is set to; of an info, nothing that matters.
    Number(f64),
    /// What was observed.
    Observed {
        /// How many of the observations were at most so much, ascending; without `+Inf`. A summary has none.
        buckets: Vec<(f64, u64)>,
        /// How many observations there were.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}
