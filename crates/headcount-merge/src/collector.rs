//! A directory as a `prometheus::core::Collector`: an application serves the merge from an endpoint of its
//! own, as it would with Python's `MultiProcessCollector`.

use std::sync::{Mutex, PoisonError};

use headcount_store::directory::{Directory, OpenError, from_environment};
use headcount_store::metric::Kind;
use headcount_store::text::{Value, write_label_name, write_metric_name};
use prometheus::core::{Collector, Desc};
use prometheus::proto;

use crate::encode::to_count;
use crate::gather::Merger;
use crate::histogram::Histogram;
use crate::liveness::Liveness;
use crate::merged::{Family, Series, SeriesValue};
use crate::text::Buckets;

/// Merges a directory each time a `prometheus::Registry` gathers.
///
/// Register it in a registry of its own: what the application counts is in the directory already.
///
/// ```no_run
/// let registry = prometheus::Registry::new();
/// registry.register(Box::new(headcount_merge::DirectoryCollector::from_environment()?))?;
/// let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DirectoryCollector {
    directory: Directory,
    merger: Mutex<Merger>,
}

/// There is no directory to collect from.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// Neither variable is set.
    #[error("PROMETHEUS_MULTIPROC_DIR is not set: start under `headcount run`, or set it")]
    NoDirectory,
    /// The directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl DirectoryCollector {
    /// Collects from `directory`.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self { directory, merger: Mutex::new(Merger::new(Liveness::Auto)) }
    }

    /// Merges in another way, such as [with files that stay open](Merger::keeping_files_open). The default is a
    /// merger with [`Liveness::Auto`].
    #[must_use]
    pub fn with_merger(mut self, merger: Merger) -> Self {
        self.merger = Mutex::new(merger);
        self
    }

    /// Collects from the directory that `PROMETHEUS_MULTIPROC_DIR` names.
    ///
    /// # Errors
    ///
    /// When it is not set, or is no directory.
    pub fn from_environment() -> Result<Self, CollectorError> {
        let path = from_environment().ok_or(CollectorError::NoDirectory)?;
        Ok(Self::new(Directory::open(&path)?))
    }
}

impl Collector for DirectoryCollector {
    fn desc(&self) -> Vec<&Desc> {
        // What will be there is not known before it is read.
        Vec::new()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // The trait leaves no way to say that the directory is gone.
        let mut merger = self.merger.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(merged) = merger.merge(&self.directory) else { return Vec::new() };
        merged.families().map(to_proto).filter(|family| !family.get_metric().is_empty()).collect()
    }
}

fn to_proto(family: Family<'_>) -> proto::MetricFamily {
    let mut out = proto::MetricFamily::default();
    out.set_name(spelled(family.name(), write_metric_name));
    out.set_help(family.help().to_owned());
    out.set_field_type(match family.kind() {
        Kind::Counter => proto::MetricType::COUNTER,
        Kind::Gauge | Kind::Info | Kind::StateSet => proto::MetricType::GAUGE,
        // Of a gauge histogram `prometheus` knows nothing.
        Kind::Histogram | Kind::GaugeHistogram => proto::MetricType::HISTOGRAM,
        Kind::Summary => proto::MetricType::SUMMARY,
    });
    out.set_metric(family.series().map(|series| to_metric(series, family.kind())).collect());
    out
}

/// A name as the text format spells it: `prometheus` writes names as they are.
fn spelled(name: &str, write: fn(&mut Vec<u8>, &str)) -> String {
    let mut out = Vec::new();
    write(&mut out, name);
    String::from_utf8(out).unwrap_or_default()
}

fn to_metric(series: Series<'_>, kind: Kind) -> proto::Metric {
    let label = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name(spelled(&name, write_label_name));
        pair.set_value(value.into_owned());
        pair
    };
    let mut metric = proto::Metric::from_label(series.labels().map(label).collect());
    match series.value() {
        SeriesValue::Number(value) if kind == Kind::Counter => {
            let mut counter = proto::Counter::default();
            counter.set_value(value.to_f64());
            metric.set_counter(counter);
        }
        SeriesValue::Number(value) => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value.to_f64());
            metric.set_gauge(gauge);
        }
        SeriesValue::Summary { count, sum } => {
            let mut summary = proto::Summary::default();
            summary.set_sample_count(to_count(count));
            summary.set_sample_sum(sum.to_f64());
            metric.set_summary(summary);
        }
        SeriesValue::Histogram(histogram) => metric.set_histogram(to_histogram(histogram)),
    }
    metric
}

fn to_histogram(histogram: Histogram<'_>) -> proto::Histogram {
    let mut out = proto::Histogram::default();
    out.set_sample_count(to_count(histogram.count()));
    out.set_sample_sum(histogram.sum().to_f64());
    let bucket = |(bound, count): (f64, Value)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(to_count(count));
        bucket
    };
    // The encoder adds +Inf, and would call it `inf` if it were here.
    let finite = histogram.buckets(Buckets::Cumulative).filter(|(bound, _)| bound.is_finite());
    out.set_bucket(finite.map(bucket).collect());
    out
}
