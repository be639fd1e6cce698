//! What a sample is worth, and how that is spelled.

use super::digits;

/// A sample's value: a count that is exact, or a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// An exact count.
    Integer(u64),
    /// Anything else.
    Float(f64),
}

impl Value {
    /// The value as Prometheus stores it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "Prometheus stores every sample as a float")]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Whether this is the lesser number, exactly: two integers may be the same float.
    #[inline]
    #[must_use]
    pub fn is_below(self, other: Self) -> bool {
        if let (Self::Integer(one), Self::Integer(two)) = (self, other) {
            return one < two;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a float that an integer is rounded to is whole")]
        let exact = |value| match value {
            Self::Integer(value) => i128::from(value),
            Self::Float(value) => value as i128,
        };
        let [one, two] = [self.to_f64(), other.to_f64()];
        // Rounding changes no order but into equality.
        one < two || (one == two && exact(self) < exact(other))
    }
}

/// Appends a sample's value.
pub fn write_value(out: &mut Vec<u8>, value: Value) {
    match value {
        Value::Integer(value) => out.extend(itoa::Buffer::new().format(value).as_bytes()),
        Value::Float(value) => {
            spell_float(value, |spelled| out.extend(spelled));
        }
    }
}

/// Writes a value in the place of another one, if it is as long; otherwise the place stays as it is. Tells which.
#[inline]
pub fn overwrite_value(place: &mut [u8], value: Value) -> bool {
    match value {
        Value::Integer(value) => digits::overwrite(place, value),
        Value::Float(value) => match exact_integer(value).map(u64::try_from) {
            Some(Ok(integer)) => digits::overwrite(place, integer),
            _ => spell_float(value, |spelled| {
                let fits = spelled.len() == place.len();
                if fits {
                    place.copy_from_slice(spelled);
                }
                fits
            }),
        },
    }
}

/// Every integer up to here is exact as a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn spell_float<T>(value: f64, read: impl FnOnce(&[u8]) -> T) -> T {
    if let Some(word) = special(value) {
        read(word.as_bytes())
    } else if let Some(integer) = exact_integer(value) {
        read(itoa::Buffer::new().format(integer).as_bytes())
    } else {
        read(zmij::Buffer::new().format_finite(value).as_bytes())
    }
}

/// The integer that a float is, unless it is too large for that to be sure, or a negative zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "beyond the range of an i64 it saturates, and is refused"
)]
#[expect(clippy::cast_precision_loss, reason = "compared with where it came from")]
fn exact_integer(value: f64) -> Option<i64> {
    // Unlike `fract`, this is no call of a function.
    let integer = value as i64;
    let is_exact = value.abs() < EXACT && (integer as f64).to_bits() == value.to_bits();
    is_exact.then_some(integer)
}

/// The word for a float that has no digits.
pub(super) fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{write_bound, written};
    use super::*;

    #[test]
    fn integers_that_are_the_same_float_are_still_in_order() {
        let check = |one, two, expected| assert_eq!(Value::is_below(one, two), expected, "{one:?} {two:?}");
        check(Value::Integer((1 << 62) - 1), Value::Integer(1 << 62), true);
        check(Value::Integer(1 << 62), Value::Integer((1 << 62) - 1), false);
        check(Value::Integer((1 << 53) + 1), Value::Float(EXACT), false);
        check(Value::Float(EXACT), Value::Integer((1 << 53) + 1), true);
        check(Value::Integer(u64::MAX), Value::Float(f64::INFINITY), true);
        for same in [0.0, 0.5, -0.0, f64::NAN, f64::INFINITY] {
            check(Value::Float(same), Value::Float(same), false);
        }
    }

    #[test]
    fn values_are_the_shortest_spelling_that_reads_back() {
        let check = |value: f64, expected: &str| {
            assert_eq!(written(|out| write_value(out, Value::Float(value))), expected);
        };
        check(0.0, "0");
        check(-0.0, "-0.0");
        check(1.0, "1");
        check(-3.5, "-3.5");
        check(1_234_567.0, "1234567");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        assert_eq!(written(|out| write_value(out, Value::Integer(u64::MAX))), "18446744073709551615");
    }

    #[test]
    fn a_value_takes_the_place_of_one_that_is_as_long() {
        let mut place = *b"12.5";
        for value in [1234.0, -3.5, -123.0, f64::INFINITY, f64::NEG_INFINITY, 1e-9, -0.0] {
            assert!(overwrite_value(&mut place, Value::Float(value)), "{value}");
            assert_eq!(place, written(|out| write_value(out, Value::Float(value))).as_bytes());
        }
        for value in [Value::Integer(0), Value::Integer(12345), Value::Float(f64::NAN), Value::Float(0.25e-7)]
        {
            assert!(!overwrite_value(&mut place, value), "{value:?}");
        }
        assert_eq!(place, *b"-0.0");
    }

    proptest! {
        #[test]
        fn every_float_reads_back_as_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            for spelled in [
                written(|out| write_value(out, Value::Float(value))),
                written(|out| write_bound(out, value)),
            ] {
                let read: f64 = spelled.trim().replace("Inf", "inf").parse().unwrap();
                prop_assert!(read.to_bits() == bits || (read.is_nan() && value.is_nan()));
            }
        }
    }
}
