//! The OpenTelemetry protocol: `ExportMetricsServiceRequest`, for one resource.
//!
//! All sums are cumulative. The field numbers are those of `opentelemetry/proto/metrics/v1/metrics.proto`.

use std::collections::BTreeMap;

use headcount_store::exponential::Schema;
use headcount_store::metric::Kind;
use headcount_store::text::{Value, write_bound};

use super::protobuf::{put_bytes, put_float, put_integer, put_signed, put_varint, to_count};
use crate::exemplars::Exemplar;
use crate::histogram::Histogram;
use crate::merged::{Family, Merged, Series, SeriesValue};
use crate::native::NativeHistogram;
use crate::text::Buckets;

/// What an export says beside the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Otlp<'a> {
    /// The attributes of the resource.
    pub resource: &'a [(String, String)],
    /// Since when is counted where a series does not say it itself, in nanoseconds since 1970; 0 if that is not known.
    pub start: u64,
    /// When it was read, in nanoseconds since 1970.
    pub time: u64,
}

/// The temporality of sums that begin at their start.
const CUMULATIVE: u64 = 2;

/// The field of a metric that is a gauge.
const GAUGE: u64 = 5;

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
            metrics(family, otlp).iter().for_each(|metric| put_bytes(&mut scope, 2, metric));
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

/// The metrics of a family: one; three of a gauge histogram, which this protocol does not know; none without series.
fn metrics(family: Family<'_>, otlp: &Otlp<'_>) -> Vec<Vec<u8>> {
    if family.kind() == Kind::GaugeHistogram {
        return gauge_histogram(family, otlp);
    }
    metric(family, otlp).into_iter().collect()
}

/// The buckets, the count and the sum, each as a gauge.
fn gauge_histogram(family: Family<'_>, otlp: &Otlp<'_>) -> Vec<Vec<u8>> {
    let (mut buckets, mut counts, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for series in family.series() {
        let SeriesValue::Histogram(histogram) = series.value() else { continue };
        for (bound, count) in histogram.buckets(Buckets::Cumulative) {
            let mut spelled = Vec::new();
            write_bound(&mut spelled, bound);
            let bound = String::from_utf8(spelled).unwrap_or_default();
            put_gauge(&mut buckets, series, Some(&bound), count, otlp);
        }
        put_gauge(&mut counts, series, None, histogram.count(), otlp);
        put_gauge(&mut sums, series, None, histogram.sum(), otlp);
    }
    let parts = [("_bucket", buckets), ("_gcount", counts), ("_gsum", sums)].into_iter();
    let some = parts.filter(|(_, data)| !data.is_empty());
    some.map(|(suffix, data)| put_metric(&format!("{}{suffix}", family.name()), family, GAUGE, &data))
        .collect()
}

fn put_gauge(data: &mut Vec<u8>, series: Series<'_>, bound: Option<&str>, value: Value, otlp: &Otlp<'_>) {
    let mut point = Vec::new();
    put_attributes(&mut point, 7, series);
    bound.into_iter().for_each(|bound| put_attribute(&mut point, 7, "le", bound));
    put_times(&mut point, series, otlp);
    put_number(&mut point, value);
    put_bytes(data, 1, &point);
}

/// The native histograms of a family: all of its series, or none. A metric is of one kind.
fn natives(family: Family<'_>) -> Vec<NativeHistogram> {
    let native = |series: Series<'_>| match series.value() {
        SeriesValue::Histogram(histogram) => histogram.native(),
        _ => None,
    };
    family.series().map(native).collect::<Option<_>>().unwrap_or_default()
}

/// `None` for a family without series.
fn metric(family: Family<'_>, otlp: &Otlp<'_>) -> Option<Vec<u8>> {
    let (mut data, mut point) = (Vec::new(), Vec::new());
    let natives = natives(family);
    for (at, series) in family.series().enumerate() {
        point.clear();
        match natives.get(at) {
            Some(native) => put_exponential(&mut point, series, native, otlp),
            None => put_point(&mut point, series, otlp),
        }
        put_bytes(&mut data, 1, &point);
    }
    if data.is_empty() {
        return None;
    }
    let field = match family.kind() {
        // Its parts are gauges.
        Kind::Gauge | Kind::GaugeHistogram => GAUGE,
        // A sum that may fall, as OpenTelemetry would have it.
        Kind::Info | Kind::StateSet => {
            put_integer(&mut data, 2, CUMULATIVE);
            7
        }
        Kind::Counter => {
            put_integer(&mut data, 2, CUMULATIVE);
            // It never falls.
            put_integer(&mut data, 3, 1);
            7
        }
        Kind::Histogram => {
            put_integer(&mut data, 2, CUMULATIVE);
            if natives.is_empty() { 9 } else { 10 }
        }
        Kind::Summary => 11,
    };
    Some(put_metric(family.name(), family, field, &data))
}

fn put_metric(name: &str, family: Family<'_>, field: u64, data: &[u8]) -> Vec<u8> {
    let mut metric = Vec::with_capacity(data.len() + 64);
    put_bytes(&mut metric, 1, name.as_bytes());
    put_bytes(&mut metric, 2, family.help().as_bytes());
    family.unit().into_iter().for_each(|unit| put_bytes(&mut metric, 3, unit.as_bytes()));
    put_bytes(&mut metric, field, data);
    metric
}

fn put_point(out: &mut Vec<u8>, series: Series<'_>, otlp: &Otlp<'_>) {
    let value = series.value();
    let attributes = if matches!(value, SeriesValue::Histogram(_)) { 9 } else { 7 };
    put_attributes(out, attributes, series);
    put_times(out, series, otlp);
    match value {
        SeriesValue::Number(value) => put_number(out, value),
        SeriesValue::Summary { count, sum } => {
            put_fixed(out, 4, to_count(count));
            put_float(out, 5, sum.to_f64());
        }
        SeriesValue::Histogram(histogram) => put_histogram(out, histogram),
    }
    series.exemplar().into_iter().for_each(|exemplar| put_exemplar(out, 5, exemplar));
}

fn put_attributes(out: &mut Vec<u8>, field: u64, series: Series<'_>) {
    series.labels().for_each(|(name, value)| put_attribute(out, field, &name, &value));
}

fn put_times(out: &mut Vec<u8>, series: Series<'_>, otlp: &Otlp<'_>) {
    let created = series.created().and_then(|created| u64::try_from(created.as_nanos()).ok());
    let start = created.unwrap_or(otlp.start);
    if start != 0 {
        put_fixed(out, 2, start);
    }
    put_fixed(out, 3, otlp.time);
}

fn put_number(out: &mut Vec<u8>, value: Value) {
    match value {
        Value::Integer(count) if i64::try_from(count).is_ok() => put_fixed(out, 6, count),
        value => put_float(out, 4, value.to_f64()),
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
    histogram.exemplars().into_iter().flatten().for_each(|exemplar| put_exemplar(out, 8, exemplar));
}

/// An exemplar. The identity of a trace has fields of its own.
fn put_exemplar(out: &mut Vec<u8>, field: u64, exemplar: Exemplar<'_>) {
    let mut message = Vec::new();
    put_fixed(&mut message, 2, u64::try_from(exemplar.since_1970().as_nanos()).unwrap_or(u64::MAX));
    put_float(&mut message, 3, exemplar.value());
    for (name, value) in exemplar.labels() {
        match (name, from_hex::<8>(value), from_hex::<16>(value)) {
            ("span_id", Some(id), _) => put_bytes(&mut message, 4, &id),
            ("trace_id", _, Some(id)) => put_bytes(&mut message, 5, &id),
            _ => put_attribute(&mut message, 7, name, value),
        }
    }
    put_bytes(out, field, &message);
}

/// So many bytes as two digits each.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Appends a native histogram, an exponential one as OpenTelemetry calls it.
fn put_exponential(out: &mut Vec<u8>, series: Series<'_>, native: &NativeHistogram, otlp: &Otlp<'_>) {
    put_attributes(out, 1, series);
    put_times(out, series, otlp);
    let (schema, sides) = narrowed(native);
    // What is in no bucket is not to be counted.
    put_fixed(out, 4, native.count());
    if let SeriesValue::Histogram(histogram) = series.value() {
        if histogram.sum().to_f64() >= 0.0 {
            put_float(out, 5, histogram.sum().to_f64());
        }
        histogram.native_exemplars().into_iter().for_each(|exemplar| put_exemplar(out, 11, exemplar));
    }
    put_signed(out, 6, schema.number().into());
    put_fixed(out, 7, native.zero);
    for (field, buckets) in [8, 9].into_iter().zip(sides) {
        let Some((&first, _)) = buckets.first_key_value() else { continue };
        let (mut side, mut counts, mut next) = (Vec::new(), Vec::new(), first);
        for (&index, &count) in &buckets {
            (next..index).for_each(|_| put_varint(&mut counts, 0));
            put_varint(&mut counts, count);
            next = index + 1;
        }
        // A bucket is called after its lower bound.
        put_signed(&mut side, 1, i64::from(first) - 1);
        put_bytes(&mut side, 2, &counts);
        put_bytes(out, field, &side);
    }
    put_float(out, 14, native.zero_threshold);
}

/// Positive and negative buckets in the finest schema in which neither side is too long: there are no gaps here, and
/// one value that is far off would make megabytes of zeros.
fn narrowed(native: &NativeHistogram) -> (Schema, [BTreeMap<i32, u64>; 2]) {
    const MAX_LEN: i32 = 1024;
    let mut schema = native.schema;
    loop {
        let sides = [&native.positive, &native.negative].map(|buckets| {
            let mut side = BTreeMap::new();
            for &(index, count) in buckets {
                let sum = side.entry(schema.reduce(index, native.schema)).or_insert(0_u64);
                *sum = sum.wrapping_add(count);
            }
            side
        });
        let len = |side: &BTreeMap<i32, u64>| Some(side.last_key_value()?.0 - side.first_key_value()?.0 + 1);
        match schema.coarser().filter(|_| sides.iter().filter_map(len).any(|len| len > MAX_LEN)) {
            Some(coarser) => schema = coarser,
            None => return (schema, sides),
        }
    }
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
