//! `io.prometheus.client.MetricFamily` in the encoding of Protocol Buffers, each after its length.
//!
//! Written by hand: it is a dozen fields, whose numbers stand below as in Prometheus' `metrics.proto`.

use headcount_store::metric::Kind;
use headcount_store::text::Value;

use super::Escaping;
use super::escaping::escaped_labels;
use super::shown::Shown;
use crate::merged::{Histogram, Series, SeriesValue};
use crate::text::Buckets;

pub(super) fn encode(families: &[Shown<'_>], escaping: Escaping, mut out: Vec<u8>) -> Vec<u8> {
    let (mut message, mut metric) = (Vec::new(), Vec::new());
    for Shown { family, name } in families {
        message.clear();
        put_bytes(&mut message, 1, name.as_bytes());
        put_bytes(&mut message, 2, family.help().as_bytes());
        put_integer(&mut message, 3, type_number(family.kind()));
        let mut any = false;
        for series in family.series() {
            any = true;
            metric.clear();
            put_metric(&mut metric, series, family.kind(), escaping);
            put_bytes(&mut message, 4, &metric);
        }
        // Prometheus' own library takes a family without series for a mistake.
        if any {
            put_varint(&mut out, message.len() as u64);
            out.extend(&message);
        }
    }
    out
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

fn put_metric(out: &mut Vec<u8>, series: Series<'_>, kind: Kind, escaping: Escaping) {
    let mut pair = Vec::new();
    for (name, value) in escaped_labels(series, escaping) {
        pair.clear();
        put_bytes(&mut pair, 1, name.as_bytes());
        put_bytes(&mut pair, 2, value.as_bytes());
        put_bytes(out, 1, &pair);
    }
    let mut message = Vec::new();
    let field = match series.value() {
        SeriesValue::Number(value) => {
            put_float(&mut message, 1, value.to_f64());
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
    put_bytes(out, field, &message);
}

fn put_histogram(out: &mut Vec<u8>, histogram: Histogram<'_>) {
    put_integer(out, 1, to_count(histogram.count()));
    put_float(out, 2, histogram.sum().to_f64());
    let mut bucket = Vec::new();
    for (bound, count) in histogram.buckets(Buckets::Cumulative) {
        bucket.clear();
        put_integer(&mut bucket, 1, to_count(count));
        put_float(&mut bucket, 2, bound);
        put_bytes(out, 3, &bucket);
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
