//! The OpenTelemetry protocol: `ExportMetricsServiceRequest`, for one resource.
//!
//! All sums are cumulative. The field numbers are those of `opentelemetry/proto/metrics/v1/metrics.proto`.

use headcount_store::metric::Kind;
use headcount_store::text::Value;

use super::protobuf::{put_bytes, put_float, put_integer, put_varint, to_count};
use crate::merged::{Family, Histogram, Merged, Series, SeriesValue};
use crate::text::Buckets;

/// What an export says beside the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Otlp<'a> {
    /// The attributes of the resource.
    pub resource: &'a [(String, String)],
    /// Since when is counted, in nanoseconds since 1970; 0 if that is not known.
    pub start: u64,
    /// When it was read, in nanoseconds since 1970.
    pub time: u64,
}

/// The temporality of sums that begin at their start.
const CUMULATIVE: u64 = 2;

impl Merged<'_> {
    /// The result as an `ExportMetricsServiceRequest`.
    #[must_use]
    pub fn to_otlp(&self, otlp: &Otlp<'_>) -> Vec<u8> {
        let mut scope = Vec::new();
        let mut name = Vec::new();
        put_bytes(&mut name, 1, b"headcount");
        put_bytes(&mut name, 2, env!("CARGO_PKG_VERSION").as_bytes());
        put_bytes(&mut scope, 1, &name);
        for family in self.families() {
            if let Some(metric) = metric(family, otlp) {
                put_bytes(&mut scope, 2, &metric);
            }
        }
        let mut resource = Vec::new();
        for (name, value) in otlp.resource {
            put_attribute(&mut resource, 1, name, value);
        }
        let mut metrics = Vec::with_capacity(scope.len() + resource.len() + 32);
        put_bytes(&mut metrics, 1, &resource);
        put_bytes(&mut metrics, 2, &scope);
        let mut request = Vec::with_capacity(metrics.len() + 16);
        put_bytes(&mut request, 1, &metrics);
        request
    }
}

/// `None` for a family without series.
fn metric(family: Family<'_>, otlp: &Otlp<'_>) -> Option<Vec<u8>> {
    let (mut data, mut point) = (Vec::new(), Vec::new());
    for series in family.series() {
        point.clear();
        put_point(&mut point, series, otlp);
        put_bytes(&mut data, 1, &point);
    }
    if data.is_empty() {
        return None;
    }
    let field = match family.kind() {
        Kind::Gauge => 5,
        Kind::Counter => {
            put_integer(&mut data, 2, CUMULATIVE);
            // It never falls.
            put_integer(&mut data, 3, 1);
            7
        }
        Kind::Histogram => {
            put_integer(&mut data, 2, CUMULATIVE);
            9
        }
        Kind::Summary => 11,
    };
    let mut metric = Vec::with_capacity(data.len() + 64);
    put_bytes(&mut metric, 1, family.name().as_bytes());
    put_bytes(&mut metric, 2, family.help().as_bytes());
    put_bytes(&mut metric, field, &data);
    Some(metric)
}

fn put_point(out: &mut Vec<u8>, series: Series<'_>, otlp: &Otlp<'_>) {
    let value = series.value();
    let attributes = if matches!(value, SeriesValue::Histogram(_)) { 9 } else { 7 };
    for (name, value) in series.labels() {
        put_attribute(out, attributes, &name, &value);
    }
    if otlp.start != 0 {
        put_fixed(out, 2, otlp.start);
    }
    put_fixed(out, 3, otlp.time);
    match value {
        SeriesValue::Number(value) => match value {
            Value::Integer(count) if i64::try_from(count).is_ok() => put_fixed(out, 6, count),
            value => put_float(out, 4, value.to_f64()),
        },
        SeriesValue::Summary { count, sum } => {
            put_fixed(out, 4, to_count(count));
            put_float(out, 5, sum.to_f64());
        }
        SeriesValue::Histogram(histogram) => put_histogram(out, histogram),
    }
}

fn put_histogram(out: &mut Vec<u8>, histogram: Histogram<'_>) {
    let (mut bounds, mut counts, mut above) = (Vec::new(), Vec::new(), 0);
    for (bound, count) in histogram.buckets(Buckets::PerBucket) {
        let count = to_count(count);
        if bound == f64::INFINITY {
            above = count;
        } else {
            bounds.push(bound);
            counts.push(count);
        }
    }
    // There is always one more bucket than there are bounds.
    counts.push(above);
    put_fixed(out, 4, counts.iter().fold(0, |sum: u64, &count| sum.saturating_add(count)));
    let sum = histogram.sum().to_f64();
    // One that may fall is not to be said.
    if sum >= 0.0 {
        put_float(out, 5, sum);
    }
    let packed = |values: &mut dyn Iterator<Item = [u8; 8]>| values.flatten().collect::<Vec<u8>>();
    put_bytes(out, 6, &packed(&mut counts.iter().map(|count| count.to_le_bytes())));
    put_bytes(out, 7, &packed(&mut bounds.iter().map(|bound| bound.to_le_bytes())));
}

/// A `KeyValue` with a text.
fn put_attribute(out: &mut Vec<u8>, field: u64, name: &str, value: &str) {
    let (mut any, mut attribute) = (Vec::new(), Vec::new());
    put_bytes(&mut any, 1, value.as_bytes());
    put_bytes(&mut attribute, 1, name.as_bytes());
    put_bytes(&mut attribute, 2, &any);
    put_bytes(out, field, &attribute);
}

fn put_fixed(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3 | 1);
    out.extend(value.to_le_bytes());
}
