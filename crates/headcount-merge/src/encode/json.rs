//! JSON, in the shape that `prom2json` has made known: a list of families, each with its metrics.
//!
//! Numbers are strings, as in it: JSON has neither infinity nor integers of 64 bits. Names and labels are those
//! that the processes have given.

use headcount_store::metric::Kind;
use headcount_store::text::{Value, write_bound, write_value};

use super::shown::Shown;
use super::written::Written;
use crate::exemplars::Exemplar;
use crate::histogram::Histogram;
use crate::merged::{Series, SeriesValue};
use crate::native::NativeHistogram;
use crate::text::Buckets;

/// What ends an exposition in which there are families, and one without.
pub(super) const END: [&[u8]; 2] = [b"]\n", b"[]\n"];

/// Appends a family; the first one begins the list.
pub(super) fn write_family(written: &mut Written, Shown { family, name }: &Shown<'_>, is_first: bool) {
    let out = &mut written.out;
    out.extend(if is_first { b"[\n" } else { b",\n" });
    out.extend(b"{\"name\":");
    put_text(out, name);
    out.extend(b",\"help\":");
    put_text(out, family.help());
    if let Some(unit) = family.unit() {
        out.extend(b",\"unit\":");
        put_text(out, unit);
    }
    out.extend(b",\"type\":\"");
    out.extend(type_word(family.kind()).as_bytes());
    out.extend(b"\",\"metrics\":[");
    written.end_head();
    for (at, series) in family.series().enumerate() {
        written.out.extend(if at == 0 { b"\n".as_slice() } else { b",\n" });
        put_series(written, series);
    }
    written.out.extend(b"]}");
}

fn type_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "COUNTER",
        Kind::Gauge | Kind::Info | Kind::StateSet => "GAUGE",
        Kind::GaugeHistogram => "GAUGE_HISTOGRAM",
        Kind::Summary => "SUMMARY",
        Kind::Histogram => "HISTOGRAM",
    }
}

fn put_series(written: &mut Written, series: Series<'_>) {
    let out = &mut written.out;
    out.push(b'{');
    let mut any = false;
    for (name, value) in series.labels() {
        out.extend(if any { b",".as_slice() } else { b"\"labels\":{" });
        any = true;
        put_text(out, &name);
        out.push(b':');
        put_text(out, &value);
    }
    if any {
        out.extend(b"},");
    }
    match series.value() {
        SeriesValue::Number(value) => {
            put_value(written, b"\"value\":\"", value);
            if let Some(exemplar) = series.exemplar() {
                written.out.extend(b",\"exemplar\":");
                put_exemplar(&mut written.out, exemplar);
            }
        }
        SeriesValue::Summary { count, sum } => {
            put_value(written, b"\"count\":\"", count);
            put_value(written, b",\"sum\":\"", sum);
        }
        SeriesValue::Histogram(histogram) => {
            // In the order of the figures.
            put_value(written, b"\"sum\":\"", histogram.sum());
            written.out.extend(b",\"buckets\":{");
            for (at, (bound, count)) in histogram.buckets(Buckets::Cumulative).enumerate() {
                written.out.extend(if at == 0 { b"\"".as_slice() } else { b",\"" });
                write_bound(&mut written.out, bound);
                put_value(written, b"\":\"", count);
            }
            put_value(written, b"},\"count\":\"", histogram.count());
            if let Some(native) = histogram.native() {
                put_native(&mut written.out, &native);
                put_native_exemplars(&mut written.out, histogram);
            }
            put_exemplars(&mut written.out, histogram);
        }
    }
    if let Some(created) = series.created() {
        written.out.push(b',');
        put_number(&mut written.out, "created", Value::Float(created.as_secs_f64()));
    }
    written.out.push(b'}');
}

/// Appends the value of a sample and a quotation mark behind it.
fn put_value(written: &mut Written, before: &[u8], value: Value) {
    written.out.extend(before);
    written.value(value);
    written.out.push(b'"');
}

/// By the upper bounds of the buckets, as these are.
fn put_exemplars(out: &mut Vec<u8>, histogram: Histogram<'_>) {
    let buckets = histogram.buckets(Buckets::Cumulative).zip(histogram.exemplars());
    let mut any = false;
    for ((bound, _), exemplar) in buckets {
        let Some(exemplar) = exemplar else { continue };
        out.extend(if any { b",\"".as_slice() } else { b",\"exemplars\":{\"" });
        any = true;
        write_bound(out, bound);
        out.extend(b"\":");
        put_exemplar(out, exemplar);
    }
    if any {
        out.push(b'}');
    }
}

/// Those of a native histogram, in the order of their times.
fn put_native_exemplars(out: &mut Vec<u8>, histogram: Histogram<'_>) {
    let exemplars = histogram.native_exemplars();
    if exemplars.is_empty() {
        return;
    }
    for (at, exemplar) in exemplars.into_iter().enumerate() {
        out.extend(if at == 0 { b",\"native_exemplars\":[".as_slice() } else { b"," });
        put_exemplar(out, exemplar);
    }
    out.push(b']');
}

fn put_exemplar(out: &mut Vec<u8>, exemplar: Exemplar<'_>) {
    out.extend(b"{\"labels\":{");
    for (at, (name, value)) in exemplar.labels().enumerate() {
        out.extend(if at == 0 { b"".as_slice() } else { b"," });
        put_text(out, name);
        out.push(b':');
        put_text(out, value);
    }
    out.extend(b"},");
    put_number(out, "value", Value::Float(exemplar.value()));
    out.push(b',');
    put_number(out, "timestamp", Value::Float(exemplar.time()));
    out.push(b'}');
}

/// Appends the buckets of a native histogram, as Prometheus' own interface shows them: which of the bounds belong to
/// each (0 the upper one, 1 the lower one, 3 both), the bounds, and the count.
fn put_native(out: &mut Vec<u8>, native: &NativeHistogram) {
    let NativeHistogram { schema, zero_threshold, .. } = *native;
    out.extend(format!(",\"schema\":{},\"native_buckets\":[", schema.number()).as_bytes());
    let mut any = false;
    let mut put = |rule: char, [low, high]: [f64; 2], count: u64| {
        out.extend(if any { b",[".as_slice() } else { b"[" });
        any = true;
        out.extend([rule as u8]);
        for value in [Value::Float(low), Value::Float(high), Value::Integer(count)] {
            out.extend(b",\"");
            write_value(out, value);
            out.push(b'"');
        }
        out.push(b']');
    };
    let bounds = |index| [index - 1, index].map(|index| schema.upper_bound(index));
    for &(index, count) in native.negative.iter().rev() {
        let [near, far] = bounds(index);
        put('1', [-far, -near], count);
    }
    if native.zero > 0 {
        put('3', [-zero_threshold, zero_threshold], native.zero);
    }
    for &(index, count) in &native.positive {
        put('0', bounds(index), count);
    }
    out.push(b']');
}

fn put_number(out: &mut Vec<u8>, name: &str, value: Value) {
    out.push(b'"');
    out.extend(name.as_bytes());
    out.extend(b"\":\"");
    write_value(out, value);
    out.push(b'"');
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            '\n' => out.extend(b"\\n"),
            c if c < ' ' => out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
