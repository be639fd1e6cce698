//! Families in the text format 0.0.4, sample by sample.

use headcount_store::metric::Kind;
use headcount_store::text::{Sample, Value, write_bound, write_family, write_labels, write_metric_name};

use crate::histogram::Histogram;
use crate::merged::{Family, SeriesValue};

/// How a histogram's buckets are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buckets {
    /// Each bucket holds what the smaller ones hold, and the count is shown: what Prometheus expects.
    #[default]
    Cumulative,
    /// Each bucket by itself, without the count: for writing back, as `merge(accumulate=False)` of Python's
    /// client has it.
    PerBucket,
}

/// Writes families that are listed.
#[derive(Debug)]
pub(crate) struct Writer {
    out: Vec<u8>,
    /// The spelling of the family's name.
    name: Vec<u8>,
    /// The spelling of the series' labels.
    labels: Vec<u8>,
    /// The spelling of the last histogram's bounds: most often the next one has the same.
    bounds: Vec<(f64, Vec<u8>)>,
    buckets: Buckets,
}

impl Writer {
    pub(crate) fn new(buckets: Buckets) -> Self {
        Self { out: Vec::new(), name: Vec::new(), labels: Vec::new(), bounds: Vec::new(), buckets }
    }

    /// What was written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Appends a family.
    pub(crate) fn family(&mut self, family: Family<'_>) {
        write_family(&mut self.out, family.name(), family.help(), family.kind());
        self.name.clear();
        write_metric_name(&mut self.name, family.name());
        let is_gauge = family.kind() == Kind::GaugeHistogram;
        for series in family.series() {
            self.labels.clear();
            write_labels(&mut self.labels, series.labels());
            match series.value() {
                SeriesValue::Number(value) => self.sample("", value),
                SeriesValue::Summary { count, sum } => {
                    self.sample("_count", count);
                    self.sample("_sum", sum);
                }
                SeriesValue::Histogram(histogram) if is_gauge => self.buckets_of(histogram),
                SeriesValue::Histogram(histogram) => self.histogram(histogram),
            }
        }
        if is_gauge && self.buckets == Buckets::Cumulative {
            self.gauges(family, "_gcount", |histogram| histogram.count());
        }
        if is_gauge {
            self.gauges(family, "_gsum", |histogram| histogram.sum());
        }
    }

    /// What this format does not know of gauge histograms: gauges behind their buckets, as Python's client writes them.
    fn gauges(&mut self, family: Family<'_>, suffix: &str, value: impl Fn(Histogram<'_>) -> Value) {
        for (at, series) in family.series().enumerate() {
            let SeriesValue::Histogram(histogram) = series.value() else { continue };
            if at == 0 {
                let name = format!("{}{suffix}", family.name());
                write_family(&mut self.out, &name, family.help(), Kind::Gauge);
            }
            self.labels.clear();
            write_labels(&mut self.labels, series.labels());
            self.sample(suffix, value(histogram));
        }
    }

    fn histogram(&mut self, histogram: Histogram<'_>) {
        self.sample("_sum", histogram.sum());
        self.buckets_of(histogram);
        if self.buckets == Buckets::Cumulative {
            self.sample("_count", histogram.count());
        }
    }

    fn buckets_of(&mut self, histogram: Histogram<'_>) {
        for (at, (bound, value)) in histogram.buckets(self.buckets).enumerate() {
            if self.bounds.get(at).is_none_or(|(known, _)| *known != bound) {
                let mut spelled = Vec::new();
                write_bound(&mut spelled, bound);
                self.bounds.truncate(at);
                self.bounds.push((bound, spelled));
            }
            let bound = Some(&*self.bounds[at].1);
            let sample = Sample { family: &self.name, suffix: "_bucket", labels: &self.labels, bound };
            sample.write(&mut self.out, value);
        }
    }

    fn sample(&mut self, suffix: &str, value: Value) {
        let sample = Sample { family: &self.name, suffix, labels: &self.labels, bound: None };
        sample.write(&mut self.out, value);
    }
}
