//! `io.prometheus.client.MetricFamily` in the encoding of Protocol Buffers, each after its length.
//!
//! Written by hand: it is a dozen fields, whose numbers stand below as in Prometheus' `metrics.proto`.

use std::time::Duration;

use headcount_store::metric::Kind;
use headcount_store::text::Value;

use super::Escaping;
use super::escaping::escaped_labels;
use super::shown::Shown;
use crate::exemplars::Exemplar;
use crate::histogram::Histogram;
use crate::merged::{Series, SeriesValue};
use crate::native::NativeHistogram;
use crate::text::Buckets;

/// All families that are asked for, sample by sample.
pub(super) fn write(families: &[Shown<'_>], escaping: Escaping) -> Vec<u8> {
    let mut out = Vec::new();
    families.iter().for_each(|shown| put_family(&mut out, shown, escaping));
    out
}

/// Appends a family after its length. Prometheus' own library takes one without series for a mistake.
pub(super) fn put_family(out: &mut Vec<u8>, shown: &Shown<'_>, escaping: Escaping) {
    let mut message = Vec::new();
    put_head(&mut message, shown);
    let head_end = message.len();
    for series in shown.family.series() {
        put_series(&mut message, series, shown.family.kind(), escaping);
    }
    if message.len() > head_end {
        put_varint(out, message.len() as u64);
        out.extend(message);
    }
}

/// Appends what a family has before its series.
pub(super) fn put_head(out: &mut Vec<u8>, Shown { family, name }: &Shown<'_>) {
    put_bytes(out, 1, name.as_bytes());
    put_bytes(out, 2, family.help().as_bytes());
    put_integer(out, 3, type_number(family.kind()));
    family.unit().into_iter().for_each(|unit| put_bytes(out, 5, unit.as_bytes()));
}

/// Appends a series; tells how long its labels are in that.
pub(super) fn put_series(out: &mut Vec<u8>, series: Series<'_>, kind: Kind, escaping: Escaping) -> usize {
    let mut metric = Vec::new();
    put_labels(&mut metric, series, escaping);
    let labels = metric.len();
    put_value(&mut metric, (series.value(), series.exemplar()), kind, series.created());
    put_metric(out, &metric);
    labels
}

/// Appends a series whose labels and value have been encoded.
pub(super) fn put_metric(out: &mut Vec<u8>, metric: &[u8]) {
    put_bytes(out, 4, metric);
}

fn type_number(kind: Kind) -> u64 {
    match kind {
        Kind::Counter => 0,
        Kind::Gauge | Kind::Info | Kind::StateSet => 1,
        Kind::Summary => 2,
        Kind::Histogram => 4,
        Kind::GaugeHistogram => 5,
    }
}

fn put_labels(out: &mut Vec<u8>, series: Series<'_>, escaping: Escaping) {
    let mut pair = Vec::new();
    for (name, value) in escaped_labels(series, escaping) {
        pair.clear();
        put_bytes(&mut pair, 1, name.as_bytes());
        put_bytes(&mut pair, 2, value.as_bytes());
        put_bytes(out, 1, &pair);
    }
}

/// Appends what a series has behind its labels; if it is a counter, perhaps with an exemplar. What is summed has
/// since when it is, if that is known.
pub(super) fn put_value(
    out: &mut Vec<u8>,
    (value, exemplar): (SeriesValue<'_>, Option<Exemplar<'_>>),
    kind: Kind,
    created: Option<Duration>,
) {
    let mut message = Vec::new();
    let created_field = match kind {
        Kind::Counter => Some(3),
        Kind::Summary => Some(4),
        Kind::Histogram => Some(15),
        Kind::Gauge | Kind::GaugeHistogram | Kind::Info | Kind::StateSet => None,
    };
    let field = match value {
        SeriesValue::Number(value) => {
            put_float(&mut message, 1, value.to_f64());
            exemplar.into_iter().for_each(|exemplar| put_exemplar(&mut message, 2, exemplar));
            if kind == Kind::Counter { 3 } else { 2 }
        }
        SeriesValue::Summary { count, sum } => {
            put_integer(&mut message, 1, to_count(count));
            put_float(&mut message, 2, sum.to_f64());
            4
        }
        SeriesValue::Histogram(histogram) => {
            put_histogram(&mut message, histogram);
            7
        }
    };
    if let (Some(field), Some(created)) = (created_field, created) {
        put_time(&mut message, field, created);
    }
    put_bytes(out, field, &message);
}

fn put_histogram(out: &mut Vec<u8>, histogram: Histogram<'_>) {
    let sum = histogram.sum().to_f64();
    let native = histogram.native();
    let count = match &native {
        // As many as are in the buckets beside. What is no number is in none, and counts if one sees it in the sum.
        Some(native) if sum.is_nan() => native.count().wrapping_add(native.nowhere),
        Some(native) => native.count(),
        None => to_count(histogram.count()),
    };
    put_integer(out, 1, count);
    put_float(out, 2, sum);
    if let Some(native) = &native {
        put_native(out, native);
        histogram.native_exemplars().into_iter().for_each(|exemplar| put_exemplar(out, 16, exemplar));
    }
    if native.is_some() && !histogram.has_bounds() {
        return;
    }
    let exemplars = histogram.exemplars();
    let mut bucket = Vec::new();
    for (at, (bound, below)) in histogram.buckets(Buckets::Cumulative).enumerate() {
        bucket.clear();
        let below = match &native {
            None => to_count(below),
            // A worker counts in one kind of bucket after the other, and may be seen between.
            Some(_) if bound < f64::INFINITY => to_count(below).min(count),
            Some(_) => count,
        };
        put_integer(&mut bucket, 1, below);
        put_float(&mut bucket, 2, bound);
        let exemplar = exemplars.get(at).copied().flatten();
        exemplar.into_iter().for_each(|exemplar| put_exemplar(&mut bucket, 3, exemplar));
        put_bytes(out, 3, &bucket);
    }
}

fn put_exemplar(out: &mut Vec<u8>, field: u64, exemplar: Exemplar<'_>) {
    let (mut message, mut part) = (Vec::new(), Vec::new());
    for (name, value) in exemplar.labels() {
        part.clear();
        put_bytes(&mut part, 1, name.as_bytes());
        put_bytes(&mut part, 2, value.as_bytes());
        put_bytes(&mut message, 1, &part);
    }
    put_float(&mut message, 2, exemplar.value());
    put_time(&mut message, 3, exemplar.since_1970());
    put_bytes(out, field, &message);
}

/// Appends a `google.protobuf.Timestamp`.
fn put_time(out: &mut Vec<u8>, field: u64, since_1970: Duration) {
    let mut message = Vec::new();
    put_integer(&mut message, 1, since_1970.as_secs());
    put_integer(&mut message, 2, since_1970.subsec_nanos().into());
    put_bytes(out, field, &message);
}

/// Appends the buckets of a native histogram.
fn put_native(out: &mut Vec<u8>, native: &NativeHistogram) {
    put_signed(out, 5, native.schema.number().into());
    put_float(out, 6, native.zero_threshold);
    put_integer(out, 7, native.zero);
    put_side(out, (9, 10), &native.negative);
    put_side(out, (12, 13), &native.positive);
    if native.negative.is_empty() && native.positive.is_empty() {
        // A span of nothing says that it is native, though there is nothing in it yet.
        put_bytes(out, 12, &[]);
    }
}

/// Appends the buckets on one side of 0: spans of indexes that lie side by side, and by how much each count is more
/// than the one before.
fn put_side(out: &mut Vec<u8>, (spans, deltas): (u64, u64), buckets: &[(i32, u64)]) {
    let Some(&(first, _)) = buckets.first() else { return };
    // Most counts and gaps take a byte or two.
    let mut encoded = Vec::with_capacity(4 * buckets.len());
    let mut span = Span { offset: first, length: 0 };
    let (mut next, mut before) = (first, 0_u64);
    let mut delta = |count: u64| {
        put_varint(&mut encoded, zigzag(count.wrapping_sub(before).cast_signed()));
        before = count;
    };
    for &(index, count) in buckets {
        let gap = index - next;
        if gap > MAX_GAP {
            span.put(out, spans);
            span = Span { offset: gap, length: 0 };
        } else {
            (0..gap).for_each(|_| delta(0));
            span.length += gap;
        }
        delta(count);
        span.length += 1;
        next = index + 1;
    }
    span.put(out, spans);
    put_bytes(out, deltas, &encoded);
}

/// So many empty buckets are shorter than another span.
const MAX_GAP: i32 = 2;

/// Buckets side by side.
struct Span {
    /// How many are left out before it; of the first, its index.
    offset: i32,
    length: i32,
}

impl Span {
    fn put(&self, out: &mut Vec<u8>, field: u64) {
        let mut span = Vec::with_capacity(16);
        put_signed(&mut span, 1, self.offset.into());
        put_integer(&mut span, 2, self.length.unsigned_abs().into());
        put_bytes(out, field, &span);
    }
}

/// Peers count in floats, this format in integers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as it should")]
pub(crate) fn to_count(count: Value) -> u64 {
    match count {
        Value::Integer(count) => count,
        Value::Float(count) => count.round() as u64,
    }
}

pub(super) fn put_integer(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3);
    put_varint(out, value);
}

pub(super) fn put_signed(out: &mut Vec<u8>, field: u64, value: i64) {
    put_integer(out, field, zigzag(value));
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(super) fn put_float(out: &mut Vec<u8>, field: u64, value: f64) {
    put_varint(out, field << 3 | 1);
    out.extend(value.to_le_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}
