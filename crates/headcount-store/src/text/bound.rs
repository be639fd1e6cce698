//! Upper bounds of buckets, spelled as others spell them.

use super::value::special;

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
    use super::super::written;
    use super::*;

    #[test]
    fn bounds_are_spelled_as_the_python_client_spells_them() {
        // The right-hand side is what floatToGoString of prometheus_client 0.26.0 returns.
        let check = |bound: f64, expected: &str| assert_eq!(written(|out| write_bound(out, bound)), expected);
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
}
