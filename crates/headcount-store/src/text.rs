//! The text exposition format 0.0.4, line by line.
//!
//! Both sides write it: a process that renders its own metrics, and the merge. Whatever names and
//! values come in, the lines that go out are valid, because one bad line makes Prometheus drop a
//! whole scrape: a character that a name may not contain becomes an underscore, as Prometheus' own
//! `underscores` escaping has it.

use crate::digits;
use crate::metric::Kind;

/// The Content-Type of this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends `# HELP` and `# TYPE` of a family. For a counter, `name` ends in `_total`; for an info, in `_info`.
pub fn write_family(out: &mut Vec<u8>, name: &str, help: &str, kind: Kind) {
    out.extend(b"# HELP ");
    write_metric_name(out, name);
    out.push(b' ');
    write_help(out, help);
    out.extend(b"\n# TYPE ");
    write_metric_name(out, name);
    out.push(b' ');
    out.extend(kind.text_type().as_bytes());
    out.push(b'\n');
}

/// Appends a metric name, replacing what the format does not allow by underscores.
pub fn write_metric_name(out: &mut Vec<u8>, name: &str) {
    write_name(out, name, |c| c == ':');
}

/// Appends a label name, replacing what the format does not allow by underscores.
pub fn write_label_name(out: &mut Vec<u8>, name: &str) {
    write_name(out, name, |_| false);
}

fn write_name(out: &mut Vec<u8>, name: &str, also: impl Fn(char) -> bool) {
    for (at, c) in name.char_indices() {
        let stays = c.is_ascii_alphabetic() || c == '_' || also(c) || (at > 0 && c.is_ascii_digit());
        out.push(if stays { c as u8 } else { b'_' });
    }
}

/// Appends a help text.
pub fn write_help(out: &mut Vec<u8>, help: &str) {
    write_escaped(out, help, Quotes::Plain);
}

/// Appends what stands between the quotation marks of a label's value.
pub fn write_label_value(out: &mut Vec<u8>, value: &str) {
    write_escaped(out, value, Quotes::Escaped);
}

/// Whether a label may be called so without quotation marks.
#[must_use]
pub fn is_legal_label_name(name: impl AsRef<[u8]>) -> bool {
    let name = name.as_ref();
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.iter().all(legal) && !name.first().is_none_or(u8::is_ascii_digit)
}

/// Under this name Prometheus keeps a sample's own name, and drops a scrape in which another one has it.
pub const OWN_NAME: &str = "__name__";

/// Appends label names and values as they stand between the braces of a sample. No name comes twice.
///
/// Of labels whose names become the same by underscores, the first stays; [`OWN_NAME`] does not. Returns whether
/// all names stand there as they are.
pub fn write_labels<N: AsRef<str>, V: AsRef<str>>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (N, V)>,
) -> bool {
    let start = out.len();
    let mut any_changed = false;
    for (name, value) in labels {
        let name = name.as_ref();
        let end = out.len();
        if end > start {
            out.push(b',');
        }
        let name_start = out.len();
        if is_legal_label_name(name) {
            out.extend(name.as_bytes());
        } else {
            write_label_name(out, name);
            any_changed = true;
        }
        let is_own_name = out[name_start..] == *OWN_NAME.as_bytes();
        any_changed |= is_own_name;
        if is_own_name || (any_changed && has_label(&out[start..end], &out[name_start..])) {
            out.truncate(end);
            continue;
        }
        out.extend(b"=\"");
        write_label_value(out, value.as_ref());
        out.push(b'"');
    }
    !any_changed
}

/// Appends labels of which all names [can be written](write_labels) as they are.
pub fn write_plain_labels<N: AsRef<str>, V: AsRef<str>>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (N, V)>,
) {
    for (at, (name, value)) in labels.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend(name.as_ref().as_bytes());
        out.extend(b"=\"");
        write_label_value(out, value.as_ref());
        out.push(b'"');
    }
}

/// Whether a label of this name has been written. A value has no bare quotation mark in it, so the
/// name can only be found where one begins.
fn has_label(written: &[u8], name: &[u8]) -> bool {
    let at = |at: usize| written[at..].starts_with(name) && written[at + name.len()..].starts_with(b"=\"");
    let begins = |at: usize| at == 0 || written[..at].ends_with(b"\",");
    (0..written.len().saturating_sub(name.len())).any(|place| begins(place) && at(place))
}

/// The line of one sample.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The family's name, as [`write_metric_name`] spells it.
    pub family: &'a [u8],
    /// What this sample puts behind it, such as `_bucket`.
    pub suffix: &'a str,
    /// Its labels, as [`write_labels`] spells them.
    pub labels: &'a [u8],
    /// The upper bound of a bucket, as [`write_bound`] spells it.
    pub bound: Option<&'a [u8]>,
}

impl Sample<'_> {
    /// Appends the line.
    pub fn write(self, out: &mut Vec<u8>, value: Value) {
        self.write_key(out);
        write_value(out, value);
        out.push(b'\n');
    }

    /// Appends what stands before the value.
    pub fn write_key(self, out: &mut Vec<u8>) {
        out.extend(self.family);
        out.extend(self.suffix.as_bytes());
        if !self.labels.is_empty() || self.bound.is_some() {
            out.push(b'{');
            out.extend(self.labels);
            if let Some(bound) = self.bound {
                out.extend(if self.labels.is_empty() { b"le=\"".as_slice() } else { b",le=\"" });
                out.extend(bound);
                out.push(b'"');
            }
            out.push(b'}');
        }
        out.push(b' ');
    }
}

/// Whether a quotation mark must be escaped: in label values, not in help texts.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    Plain,
    Escaped,
}

impl Quotes {
    fn are_special(self, byte: u8) -> bool {
        matches!(byte, b'\\' | b'\n') || (byte == b'"' && self == Self::Escaped)
    }

    fn is_any_special(self, text: &[u8]) -> bool {
        // Without a branch in it, so that many bytes are compared at once.
        text.iter().fold(false, |any, &byte| any | self.are_special(byte))
    }
}

/// Whether a label's value [is written](write_label_value) as it is.
#[must_use]
pub fn is_plain_label_value(value: &[u8]) -> bool {
    !Quotes::Escaped.is_any_special(value)
}

fn write_escaped(out: &mut Vec<u8>, text: &str, quotes: Quotes) {
    if !quotes.is_any_special(text.as_bytes()) {
        out.extend(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        if quotes.are_special(byte) {
            out.push(b'\\');
        }
        out.push(if byte == b'\n' { b'n' } else { byte });
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

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// Appends an upper bound as Python's client spells it: `1.0`, `0.005`, `1e+06`, `+Inf`.
///
/// Prometheus 2 takes `le="1"` and `le="1.0"` for two series, so the spelling must be the one that a
/// host's dashboards know.
pub fn write_bound(out: &mut Vec<u8>, bound: f64) {
    if let Some(word) = special(bound) {
        out.extend(word.as_bytes());
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(bound);
    let (digits, exponent) = decompose(shortest);
    if bound.is_sign_negative() {
        out.push(b'-');
    }
    if bound > 0.0 && (6..16).contains(&exponent) {
        // Where Python would write more than six integer digits, its client writes Go's exponent.
        write_scientific(out, &digits, exponent);
    } else if (-4..16).contains(&exponent) {
        write_positional(out, &digits, exponent);
    } else {
        write_scientific(out, &digits, exponent);
    }
}

/// The significant digits of a finite float's shortest spelling, and the decimal exponent of the first.
fn decompose(shortest: &str) -> (Vec<u8>, i32) {
    let unsigned = shortest.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = integer.bytes().chain(fraction.bytes()).collect();
    let zeros = all.iter().take_while(|&&digit| digit == b'0').count();
    let end = all.iter().rposition(|&digit| digit != b'0').map_or(zeros, |last| last + 1);
    if zeros >= end {
        return (vec![b'0'], 0);
    }
    let place = |len: usize| i32::try_from(len).unwrap_or(0);
    (all[zeros..end].to_vec(), exponent + place(integer.len()) - 1 - place(zeros))
}

fn write_scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend(&digits[1..]);
    }
    out.extend(if exponent < 0 { b"e-" } else { b"e+" });
    out.extend(format!("{:02}", exponent.abs()).as_bytes());
}

fn write_positional(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let before = usize::try_from(exponent + 1).unwrap_or(0);
    if before == 0 {
        out.extend(b"0.");
        out.extend((exponent + 1..0).map(|_| b'0'));
        out.extend(digits);
    } else {
        out.extend((0..before).map(|at| digits.get(at).copied().unwrap_or(b'0')));
        out.push(b'.');
        out.extend(digits.get(before..).filter(|rest| !rest.is_empty()).unwrap_or(b"0"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn line(labels: &[(&str, &str)], bound: Option<&str>) -> String {
        let plain = labels.iter().all(|(name, _)| name.is_ascii());
        let labels = text(|out| assert_eq!(write_labels(out, labels.iter().copied()), plain));
        let (labels, bound) = (labels.as_bytes(), bound.map(str::as_bytes));
        let sample = Sample { family: b"x", suffix: "_bucket", labels, bound };
        text(|out| sample.write(out, Value::Integer(1)))
    }

    #[test]
    fn label_values_and_help_texts_are_escaped_each_by_its_rule() {
        assert_eq!(line(&[], None), "x_bucket 1\n");
        assert_eq!(line(&[], Some("1.0")), "x_bucket{le=\"1.0\"} 1\n");
        let escaped = "x_bucket{a=\"x\",b=\"\\\"\\\\\\n\t\",le=\"+Inf\"} 1\n";
        assert_eq!(line(&[("a", "x"), ("b", "\"\\\n\t")], Some("+Inf")), escaped);
        let family = text(|out| write_family(out, "x_total", "say \"hi\"\nnow\\", Kind::Counter));
        assert_eq!(family, "# HELP x_total say \"hi\"\\nnow\\\\\n# TYPE x_total counter\n");
    }

    #[test]
    fn names_that_the_format_cannot_carry_get_underscores() {
        assert_eq!(text(|out| write_metric_name(out, "9 é:x9")), "___:x9");
        assert_eq!(text(|out| write_label_name(out, "a:b\"\n")), "a_b__");
        let labels = [("é", "1"), ("ü", "2"), ("a", "3"), ("_", "4"), ("aé", ",_=\"")];
        assert_eq!(line(&labels, None), "x_bucket{_=\"1\",a=\"3\",a_=\",_=\\\"\"} 1\n");
        assert_eq!(line(&[("a", "1"), ("é_name__", "2"), ("z", "3")], None), "x_bucket{a=\"1\",z=\"3\"} 1\n");
    }

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
            assert_eq!(text(|out| write_value(out, Value::Float(value))), expected);
        };
        check(0.0, "0");
        check(-0.0, "-0.0");
        check(1.0, "1");
        check(-3.5, "-3.5");
        check(1_234_567.0, "1234567");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        assert_eq!(text(|out| write_value(out, Value::Integer(u64::MAX))), "18446744073709551615");
    }

    #[test]
    fn a_value_takes_the_place_of_one_that_is_as_long() {
        let mut place = *b"12.5";
        for value in [1234.0, -3.5, -123.0, f64::INFINITY, f64::NEG_INFINITY, 1e-9, -0.0] {
            assert!(overwrite_value(&mut place, Value::Float(value)), "{value}");
            assert_eq!(place, text(|out| write_value(out, Value::Float(value))).as_bytes());
        }
        for value in [Value::Integer(0), Value::Integer(12345), Value::Float(f64::NAN), Value::Float(0.25e-7)]
        {
            assert!(!overwrite_value(&mut place, value), "{value:?}");
        }
        assert_eq!(place, *b"-0.0");
    }

    #[test]
    fn bounds_are_spelled_as_the_python_client_spells_them() {
        // The right-hand side is what floatToGoString of prometheus_client 0.26.0 returns.
        let check = |bound: f64, expected: &str| assert_eq!(text(|out| write_bound(out, bound)), expected);
        check(0.0, "0.0");
        check(0.005, "0.005");
        check(1.0, "1.0");
        check(2.5, "2.5");
        check(100.0, "100.0");
        check(999_999.0, "999999.0");
        check(1e6, "1e+06");
        check(1_234_567.0, "1.234567e+06");
        check(1_234_567.5, "1.2345675e+06");
        check(1e7, "1e+07");
        check(1e15, "1e+15");
        check(1e16, "1e+16");
        check(1.234_567_890_123_456_7e19, "1.2345678901234567e+19");
        check(1e21, "1e+21");
        check(1e300, "1e+300");
        check(0.0001, "0.0001");
        check(0.000_012_5, "1.25e-05");
        check(1e-7, "1e-07");
        check(5e-324, "5e-324");
        check(-1.5, "-1.5");
        check(-12_345_678.0, "-12345678.0");
        check(-1e16, "-1e+16");
        check(f64::INFINITY, "+Inf");
    }

    proptest! {
        #[test]
        fn every_float_reads_back_as_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            for spelled in [
                text(|out| write_value(out, Value::Float(value))),
                text(|out| write_bound(out, value)),
            ] {
                let read: f64 = spelled.trim().replace("Inf", "inf").parse().unwrap();
                prop_assert!(read.to_bits() == bits || (read.is_nan() && value.is_nan()));
            }
        }
    }
}
