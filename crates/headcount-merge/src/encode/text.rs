//! Prometheus' text with names of any kind. With plain names it is what [`Merged::to_text`] writes.
//!
//! [`Merged::to_text`]: crate::Merged::to_text

use headcount_store::text::write_help;

use super::Escaping;
use super::lines::Lines;
use super::shown::Shown;
use crate::merged::{Family, SeriesValue};
use crate::text::Buckets;

pub(super) fn encode(families: &[Shown<'_>], escaping: Escaping, out: Vec<u8>) -> Vec<u8> {
    let mut lines = Lines::new(out, escaping);
    for Shown { family, name } in families {
        lines.comment("HELP", name, |out| write_help(out, family.help()));
        lines.comment("TYPE", name, |out| out.extend(family.kind().as_str().as_bytes()));
        lines.begin_family(name, family);
        write_samples(&mut lines, family);
    }
    lines.out
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
                lines.sample("_sum", None, histogram.sum());
                for (at, (bound, value)) in histogram.buckets(Buckets::Cumulative).enumerate() {
                    lines.sample("_bucket", Some((at, bound)), value);
                }
                lines.sample("_count", None, histogram.count());
            }
        }
    }
}
