//! Upper bounds of a histogram's buckets.

/// The upper bounds of a histogram's buckets, ascending. The bucket `+Inf` is always there.
///
/// ```
/// use headcount::Buckets;
///
/// assert_eq!(Buckets::linear(1.0, 0.5, 3).unwrap().bounds(), [1.0, 1.5, 2.0]);
/// assert_eq!(Buckets::exponential(1.0, 2.0, 4).unwrap().bounds(), [1.0, 2.0, 4.0, 8.0]);
/// assert!(Buckets::new([1.0, 1.0]).is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets(Vec<f64>);

/// Bounds that make no histogram.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BucketError {
    /// No bound at all, or only `+Inf`.
    #[error("at least one finite bound is needed")]
    Empty,
    /// A bound that is not greater than the one before it, or is not a number.
    #[error("bound {bound} does not come after {before}: bounds are numbers in ascending order")]
    Order {
        /// The bound before.
        before: f64,
        /// The bound.
        bound: f64,
    },
    /// A width that is not positive, a factor that is not greater than 1, a start that is not positive.
    #[error("{what} {value} is too small")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A schema that native histograms do not have.
    #[error("there is no schema {schema}: the schemas of native histograms are -4 to 8")]
    Schema {
        /// The schema as given.
        schema: i8,
    },
    /// So many buckets a native histogram cannot be limited to.
    #[error("a native histogram cannot be limited to {limit} buckets, but to 1 to 10,000")]
    Limit {
        /// The limit as given.
        limit: u16,
    },
    /// A zero bucket that is no range of numbers.
    #[error("a zero bucket cannot end at {threshold}: it ends at 0 or a positive number")]
    ZeroThreshold {
        /// The threshold as given.
        threshold: f64,
    },
}

/// The default buckets of Python's client, in seconds: so that Rust and Python workers of one host
/// have the same.
const DEFAULT: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

impl Default for Buckets {
    /// From 5 ms to 10 s, in seconds: the default of Python's client.
    fn default() -> Self {
        Self(DEFAULT.to_vec())
    }
}

impl Buckets {
    /// Buckets with these upper bounds; a last bound of `+Inf` may be given or left out.
    ///
    /// # Errors
    ///
    /// When there is none, or they are not numbers in ascending order.
    pub fn new(bounds: impl IntoIterator<Item = f64>) -> Result<Self, BucketError> {
        let mut bounds: Vec<f64> = bounds.into_iter().collect();
        bounds.pop_if(|last| *last == f64::INFINITY);
        let mut before = f64::NEG_INFINITY;
        for &bound in &bounds {
            // Written so that a NaN is refused, too.
            if !(bound > before && bound < f64::INFINITY) {
                return Err(BucketError::Order { before, bound });
            }
            before = bound;
        }
        if bounds.is_empty() { Err(BucketError::Empty) } else { Ok(Self(bounds)) }
    }

    /// `count` bounds, the first at `start`, each `width` above the one before.
    ///
    /// # Errors
    ///
    /// When `width` is not positive, `count` is 0, or the numbers grow beyond what a float can tell apart.
    pub fn linear(start: f64, width: f64, count: u16) -> Result<Self, BucketError> {
        if width.is_nan() || width <= 0.0 {
            return Err(BucketError::Parameter { what: "the width", value: width });
        }
        Self::new((0..count).map(|n| f64::from(n).mul_add(width, start)))
    }

    /// `count` bounds, the first at `start`, each `factor` times the one before.
    ///
    /// # Errors
    ///
    /// When `start` is not positive, `factor` is not greater than 1, `count` is 0, or a bound is infinite.
    pub fn exponential(start: f64, factor: f64, count: u16) -> Result<Self, BucketError> {
        if start.is_nan() || start <= 0.0 {
            return Err(BucketError::Parameter { what: "the start", value: start });
        }
        if factor.is_nan() || factor <= 1.0 {
            return Err(BucketError::Parameter { what: "the factor", value: factor });
        }
        Self::new((0..count).map(|n| start * factor.powi(i32::from(n))))
    }

    /// The finite upper bounds.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_are_not_ascending_numbers_are_refused() {
        assert_eq!(Buckets::new([]), Err(BucketError::Empty));
        assert_eq!(Buckets::new([f64::INFINITY]), Err(BucketError::Empty));
        assert!(matches!(Buckets::new([2.0, 1.0]), Err(BucketError::Order { .. })));
        assert!(matches!(Buckets::new([1.0, f64::NAN]), Err(BucketError::Order { .. })));
        assert!(matches!(Buckets::new([f64::NEG_INFINITY]), Err(BucketError::Order { .. })));
        assert_eq!(Buckets::new([1.0, f64::INFINITY]).unwrap().bounds(), [1.0]);
    }

    #[test]
    fn parameters_that_make_no_ascending_bounds_are_refused() {
        assert!(matches!(Buckets::linear(0.0, 0.0, 3), Err(BucketError::Parameter { .. })));
        assert!(matches!(Buckets::linear(0.0, f64::NAN, 3), Err(BucketError::Parameter { .. })));
        assert!(matches!(Buckets::exponential(0.0, 2.0, 3), Err(BucketError::Parameter { .. })));
        assert!(matches!(Buckets::exponential(1.0, 1.0, 3), Err(BucketError::Parameter { .. })));
        assert!(matches!(Buckets::exponential(1.0, 2.0, 2000), Err(BucketError::Order { .. })));
        assert_eq!(Buckets::linear(0.0, 1.0, 0), Err(BucketError::Empty));
    }
}
