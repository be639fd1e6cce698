//! Prometheus' text with names of any kind. With plain names it is what [`Merged::to_text`] writes.
//!
//! [`Merged::to_text`]: crate::Merged::to_text

use headcount_store::metric::Kind;
use headcount_store::text::{Value, write_help};

use super::lines::Lines;
use super::shown::Shown;
use crate::histogram::Histogram;
use crate::merged::{Family, SeriesValue};
use crate::text::Buckets;

/// Appends a family.
pub(super) fn write_family(lines: &mut Lines, Shown { family, name }: &Shown<'_>) {
    write_head(lines, name, family, family.kind());
    lines.begin_family(name, family);
    write_samples(lines, family);
    if family.kind() == Kind::GaugeHistogram {
        write_gauges(lines, name, family, "_gcount", |histogram| histogram.count());
        write_gauges(lines, name, family, "_gsum", |histogram| histogram.sum());
    }
}

fn write_head(lines: &mut Lines, name: &str, family: &Family<'_>, kind: Kind) {
    lines.comment("HELP", name, |out| write_help(out, family.help()));
    lines.comment("TYPE", name, |out| out.extend(kind.text_type().as_bytes()));
}

/// What this format does not know of gauge histograms: gauges behind their buckets.
fn write_gauges(
    lines: &mut Lines,
    name: &str,
    family: &Family<'_>,
    suffix: &str,
    value: impl Fn(Histogram<'_>) -> Value,
) {
    for (at, series) in family.series().enumerate() {
        let SeriesValue::Histogram(histogram) = series.value() else { continue };
        if at == 0 {
            let name = format!("{name}{suffix}");
            write_head(lines, &name, family, Kind::Gauge);
            lines.begin_family(&name, family);
        }
        lines.begin_series(series);
        lines.sample("", None, value(histogram));
    }
}

/// Appends the samples of all series.
fn write_samples(lines: &mut Lines, family: &Family<'_>) {
    for series in family.series() {
        lines.begin_series(series);
        match series.value() {
            SeriesValue::Number(value) => lines.sample("", None, value),
            SeriesValue::Summary { count, sum } => {
                lines.sample("_count", None, count);
                lines.sample("_sum", None, sum);
            }
            SeriesValue::Histogram(histogram) => {
                let is_gauge = family.kind() == Kind::GaugeHistogram;
                if !is_gauge {
                    lines.sample("_sum", None, histogram.sum());
                }
                for (at, (bound, value)) in histogram.buckets(Buckets::Cumulative).enumerate() {
                    lines.sample("_bucket", Some((at, bound)), value);
                }
                if !is_gauge {
                    lines.sample("_count", None, histogram.count());
                }
            }
        }
    }
}
