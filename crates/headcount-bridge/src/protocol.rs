//! What a registry of the crate `prometheus` holds.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::exposed::{Exposed, Kind, Sample, Value};

/// A registry's metrics. Those without a type, which the crate has none of, are left out.
pub(crate) fn gather(registry: &prometheus::Registry) -> Vec<Exposed> {
    registry.gather().iter().filter_map(family).collect()
}

fn family(family: &MetricFamily) -> Option<Exposed> {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::GAUGE => Kind::Gauge,
        MetricType::HISTOGRAM => Kind::Histogram,
        MetricType::SUMMARY => Kind::Summary,
        MetricType::UNTYPED => return None,
    };
    let sample = |metric: &Metric| {
        let labels =
            metric.get_label().iter().map(|label| (label.name().to_owned(), label.value().to_owned()));
        Sample { labels: labels.collect(), value: value(kind, metric) }
    };
    Some(Exposed {
        name: family.name().to_owned(),
        help: family.help().to_owned(),
        kind,
        samples: family.get_metric().iter().map(sample).collect(),
    })
}

fn value(kind: Kind, metric: &Metric) -> Value {
    match kind {
        Kind::Counter => Value::Number(metric.get_counter().get_value()),
        // That client has no infos.
        Kind::Gauge | Kind::Info => Value::Number(metric.get_gauge().get_value()),
        Kind::Histogram => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
            Value::Observed {
                buckets: buckets.filter(|(bound, _)| bound.is_finite()).collect(),
                count: histogram.get_sample_count(),
                sum: histogram.get_sample_sum(),
            }
        }
        Kind::Summary => {
            let summary = metric.get_summary();
            Value::Observed { buckets: Vec::new(), count: summary.sample_count(), sum: summary.sample_sum() }
        }
    }
}
