//! What a native histogram is declared with.

use headcount_store::exponential::{Scale, Schema};
use headcount_store::format::family::{Native, Shape};

use crate::buckets::{BucketError, Buckets};

/// How finely a native histogram tells observations apart, and how many buckets it may have for that.
///
/// Its buckets are there where something was observed: none has to be chosen. The default is that of most who use
/// `client_golang`: bounds that grow by 10 % at most, 160 buckets, and whatever is nearer to 0 than 2⁻¹²⁸ is 0.
///
/// ```
/// use headcount::{Buckets, NativeBuckets};
///
/// let buckets = NativeBuckets::with_factor(1.05)?.limit(100)?.zero_threshold(1e-6)?;
/// // For those who scrape text, or have not enabled native histograms yet:
/// let both = NativeBuckets::default().and_classic(Buckets::default());
/// assert!(NativeBuckets::with_factor(1.0).is_err());
/// # Ok::<(), headcount::buckets::BucketError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NativeBuckets(pub(crate) Native);

/// The greatest limit: a thread's table for so many takes 128 KiB.
const MAX_LIMIT: u16 = 10_000;

impl Default for NativeBuckets {
    fn default() -> Self {
        let scale = Scale { schema: Schema::of_factor(1.1), zero_threshold: (-128.0_f64).exp2() };
        Self(Native { scale, limit: 160, bounds: Vec::new() })
    }
}

impl NativeBuckets {
    /// Buckets whose bounds grow by this factor at most: the schema is the coarsest for which that is so. The finest
    /// one has a factor of 1.0027, the coarsest one of 65,536.
    ///
    /// # Errors
    ///
    /// When `factor` is not greater than 1.
    pub fn with_factor(factor: f64) -> Result<Self, BucketError> {
        if factor.is_nan() || factor <= 1.0 {
            return Err(BucketError::Parameter { what: "the factor", value: factor });
        }
        Ok(Self::of_schema(Schema::of_factor(factor)))
    }

    /// Buckets of a schema of Prometheus', from −4 to 8: its bounds grow by a factor of 2^(2⁻ˢ).
    ///
    /// # Errors
    ///
    /// When there is no such schema.
    pub fn with_schema(schema: i8) -> Result<Self, BucketError> {
        let known = Schema::new(schema).ok_or(BucketError::Schema { schema })?;
        Ok(Self::of_schema(known))
    }

    fn of_schema(schema: Schema) -> Self {
        let Self(mut native) = Self::default();
        native.scale.schema = schema;
        Self(native)
    }

    /// Lets there be so many buckets, from 1 to 10,000. If more would be needed, the resolution is halved, in each
    /// process and in what all together expose; and if that is not enough, the zero bucket is widened.
    ///
    /// A table of one and a half times as many places takes memory in each thread, for each series.
    ///
    /// # Errors
    ///
    /// When there cannot be so many.
    pub fn limit(mut self, buckets: u16) -> Result<Self, BucketError> {
        if !(1..=MAX_LIMIT).contains(&buckets) {
            return Err(BucketError::Limit { limit: buckets });
        }
        self.0.limit = buckets;
        Ok(self)
    }

    /// What is not farther from 0 than this is counted in the zero bucket.
    ///
    /// # Errors
    ///
    /// When it is negative, infinite or not a number.
    pub fn zero_threshold(mut self, threshold: f64) -> Result<Self, BucketError> {
        if !(0.0..f64::INFINITY).contains(&threshold) {
            return Err(BucketError::ZeroThreshold { threshold });
        }
        self.0.scale.zero_threshold = threshold;
        Ok(self)
    }

    /// Counts in buckets with bounds, too, which is what text formats and older Prometheus servers can show. An
    /// observation then adds to three cells instead of two.
    #[must_use]
    pub fn and_classic(mut self, buckets: Buckets) -> Self {
        self.0.bounds = buckets.bounds().to_vec();
        self
    }

    pub(crate) fn into_shape(self) -> Shape {
        Shape::NativeHistogram(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_native_histogram_is_refused() {
        for factor in [1.0, 0.5, f64::NAN] {
            assert!(matches!(NativeBuckets::with_factor(factor), Err(BucketError::Parameter { .. })));
        }
        assert_eq!(NativeBuckets::with_schema(9), Err(BucketError::Schema { schema: 9 }));
        let native = NativeBuckets::default();
        assert_eq!(native.clone().limit(0), Err(BucketError::Limit { limit: 0 }));
        for threshold in [-1.0, f64::INFINITY] {
            assert!(native.clone().zero_threshold(threshold).is_err());
        }
        assert!(native.clone().zero_threshold(f64::NAN).is_err());
        assert_eq!(NativeBuckets::with_factor(1.1), Ok(native.clone()));
        assert_eq!(NativeBuckets::with_schema(3), Ok(native));
    }
}
