//! Expositions in formats without lines, read by libraries that know nothing of what wrote them.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Value;

/// A sample: its name, its labels, and its value.
pub type Sample = (String, BTreeMap<String, String>, f64);

/// `io.prometheus.client.MetricFamily`, as far as classic metrics go.
#[derive(Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(enumeration = "MetricType", tag = "3")]
    r#type: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum MetricType {
    Counter = 0,
    Gauge = 1,
    Summary = 2,
    Untyped = 3,
    Histogram = 4,
    GaugeHistogram = 5,
}

#[derive(Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Distribution>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Distribution>,
}

#[derive(Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Message)]
struct Number {
    #[prost(double, tag = "1")]
    value: f64,
}

/// A summary or a histogram.
#[derive(Message)]
struct Distribution {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    /// What there is of a native histogram, as far as it is of positive numbers.
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

/// Buckets side by side, so far from those before.
#[derive(Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
}

/// The samples of delimited protobuf.
///
/// # Panics
///
/// When it is none, or a metric is not of its family's type.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "Prometheus stores every sample as a float")]
pub fn read_protobuf(mut bytes: &[u8]) -> Vec<Sample> {
    let mut samples = Vec::new();
    while !bytes.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut bytes).unwrap();
        assert!(!family.help.is_empty());
        for metric in &family.metric {
            let labels: BTreeMap<_, _> =
                metric.label.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
            assert_eq!(labels.len(), metric.label.len(), "a label comes twice");
            let mut add = |suffix: &str, le: Option<f64>, value: f64| {
                let mut labels = labels.clone();
                labels.extend(le.map(|le| ("le".to_owned(), le.to_string())));
                samples.push((format!("{}{suffix}", family.name), labels, value));
            };
            match family.r#type() {
                MetricType::Counter => add("", None, metric.counter.as_ref().unwrap().value),
                MetricType::Gauge => add("", None, metric.gauge.as_ref().unwrap().value),
                MetricType::Untyped => panic!("there are no untyped metrics"),
                MetricType::Summary => {
                    let summary = metric.summary.as_ref().unwrap();
                    add("_count", None, summary.sample_count as f64);
                    add("_sum", None, summary.sample_sum);
                }
                kind @ (MetricType::Histogram | MetricType::GaugeHistogram) => {
                    let histogram = metric.histogram.as_ref().unwrap();
                    let is_gauge = kind == MetricType::GaugeHistogram;
                    add(if is_gauge { "_gcount" } else { "_count" }, None, histogram.sample_count as f64);
                    add(if is_gauge { "_gsum" } else { "_sum" }, None, histogram.sample_sum);
                    for bucket in &histogram.bucket {
                        add("_bucket", Some(bucket.upper_bound), bucket.cumulative_count as f64);
                    }
                    // One that is native and has no bounds; in lines it has this bucket.
                    if histogram.bucket.is_empty() {
                        add("_bucket", Some(f64::INFINITY), histogram.sample_count as f64);
                    }
                }
            }
        }
    }
    samples
}

/// A native histogram: its labels, its schema, and the counts of its buckets for positive numbers.
#[derive(Debug, PartialEq)]
pub struct Native {
    /// Names and values.
    pub labels: BTreeMap<String, String>,
    /// How finely it tells numbers apart.
    pub schema: i32,
    /// By their numbers, those that are not empty.
    pub buckets: BTreeMap<i32, i64>,
}

/// The native histograms of a family in delimited protobuf.
///
/// # Panics
///
/// When it is none, there is no such family, or one of its metrics is no native histogram.
#[must_use]
pub fn read_native(mut bytes: &[u8], name: &str) -> Vec<Native> {
    loop {
        let family = MetricFamily::decode_length_delimited(&mut bytes).unwrap();
        if family.name == name {
            return family.metric.iter().map(Native::of).collect();
        }
    }
}

impl Native {
    fn of(metric: &Metric) -> Self {
        let histogram = metric.histogram.as_ref().unwrap();
        let (mut number, mut count, mut deltas) = (0, 0, histogram.positive_delta.iter());
        let mut buckets = BTreeMap::new();
        for span in &histogram.positive_span {
            number += span.offset;
            for _ in 0..span.length {
                count += deltas.next().unwrap();
                buckets.insert(number, count);
                number += 1;
            }
        }
        buckets.retain(|_, count| *count > 0);
        let total = buckets.values().sum::<i64>().cast_unsigned() + histogram.zero_count;
        assert_eq!(total, histogram.sample_count, "its buckets come to its count");
        let labels = metric.label.iter().map(|label| (label.name.clone(), label.value.clone()));
        Self { labels: labels.collect(), schema: histogram.schema.unwrap(), buckets }
    }
}

/// The samples of JSON in the shape of `prom2json`.
///
/// # Panics
///
/// When it is none.
#[must_use]
pub fn read_json(bytes: &[u8]) -> Vec<Sample> {
    let families: Value = serde_json::from_slice(bytes).unwrap();
    let mut samples = Vec::new();
    for family in families.as_array().unwrap() {
        let name = family["name"].as_str().unwrap();
        let kind = family["type"].as_str().unwrap();
        let kinds = ["COUNTER", "GAUGE", "SUMMARY", "HISTOGRAM", "GAUGE_HISTOGRAM"];
        assert!(kinds.contains(&kind), "{kind}");
        let parts = if kind == "GAUGE_HISTOGRAM" { ["_gcount", "_gsum"] } else { ["_count", "_sum"] };
        for metric in family["metrics"].as_array().unwrap() {
            let text = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap().to_owned());
            let labels: BTreeMap<_, _> =
                metric["labels"].as_object().into_iter().flatten().map(text).collect();
            let number = |value: &Value| value.as_str().unwrap().replace("Inf", "inf").parse().unwrap();
            let mut add = |suffix: &str, le: Option<&str>, value: &Value| {
                let mut labels = labels.clone();
                labels.extend(le.map(|le| ("le".to_owned(), le.to_owned())));
                samples.push((format!("{name}{suffix}"), labels, number(value)));
            };
            for (key, suffix) in [("value", ""), ("count", parts[0]), ("sum", parts[1])] {
                metric.get(key).into_iter().for_each(|value| add(suffix, None, value));
            }
            for (le, count) in metric["buckets"].as_object().into_iter().flatten() {
                add("_bucket", Some(le), count);
            }
        }
    }
    samples
}
