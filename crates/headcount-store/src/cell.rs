//! What the eight bytes of a gauge's cell stand for.
//!
//! A gauge's cell holds the complement of its value's bits. New cells are all zeros, so one that was
//! never set is told from one that was set to 0: the complement of zero is a NaN that no arithmetic
//! yields. The cells of counters and histograms need no such thing: nothing counted is 0.

/// The cell for a gauge that was set to `value`.
#[inline]
#[must_use]
pub fn encode_gauge(value: f64) -> u64 {
    let cell = !value.to_bits();
    // The one NaN whose complement is zero becomes the ordinary one.
    if cell == 0 { !f64::NAN.to_bits() } else { cell }
}

/// The value that a gauge was set to; `None` if it never was.
#[inline]
#[must_use]
pub fn decode_gauge(cell: u64) -> Option<f64> {
    (cell != 0).then(|| f64::from_bits(!cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_that_was_set_is_told_from_one_that_was_not() {
        assert_eq!(decode_gauge(0), None);
        for value in [0.0, -0.0, 1.5, -1e300, f64::INFINITY] {
            assert_eq!(decode_gauge(encode_gauge(value)).map(f64::to_bits), Some(value.to_bits()));
        }
        for nan in [f64::NAN, -f64::NAN, f64::from_bits(u64::MAX)] {
            assert!(decode_gauge(encode_gauge(nan)).is_some_and(f64::is_nan));
        }
    }
}
