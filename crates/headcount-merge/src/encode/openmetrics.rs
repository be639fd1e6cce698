//! OpenMetrics text 1.0, which is stricter than Prometheus' text.
//!
//! A counter's family is called without the `_total` that its sample has; counts are whole, sums and counts
//! neither fall below zero nor are they no numbers; and no family may be called as another one's samples are,
//! even those that it could have. Where a family breaks one of these rules, each of its names becomes a family
//! of unknown type: the samples are the same.

use std::collections::HashSet;

use headcount_store::metric::Kind;
use headcount_store::text::{Value, write_label_value};

use super::lines::Lines;
use super::shown::{Shown, suffixes};
use crate::figures::{is_counted, is_whole};
use crate::histogram::Histogram;
use crate::merged::{Family, SeriesValue};
use crate::text::Buckets;

/// A family is of another type than its samples allow.
#[derive(Debug)]
struct Unfit;

/// What ends an exposition.
pub(super) const END: &[u8] = b"# EOF\n";

/// The names under which families may have a type, each in the place of its family.
pub(super) fn typed_names(families: &[Shown<'_>]) -> Vec<Option<String>> {
    let mut taken: HashSet<String> = families.iter().flat_map(Shown::sample_names).collect();
    families.iter().map(|shown| typed_name(shown, &mut taken).map(str::to_owned)).collect()
}

/// Appends a family, with a type under its name for that, if its values allow it. Tells whether it has one.
pub(super) fn write_family(lines: &mut Lines, shown: &Shown<'_>, typed_name: Option<&str>) -> bool {
    let start = lines.written.out.len();
    let is_typed = typed_name.is_some_and(|name| {
        write_typed(lines, name, &shown.family).inspect_err(|Unfit| lines.written.out.truncate(start)).is_ok()
    });
    if !is_typed {
        write_unknown(lines, shown);
    }
    is_typed
}

/// The family's name, if it may have a type, and takes all names that go with that.
fn typed_name<'a>(shown: &'a Shown<'_>, taken: &mut HashSet<String>) -> Option<&'a str> {
    let name = match shown.family.kind() {
        Kind::Gauge | Kind::StateSet => return Some(&shown.name),
        kind @ (Kind::Counter | Kind::Info) => {
            shown.name.strip_suffix(kind.name_suffix()).filter(|name| !name.is_empty())?
        }
        Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => &shown.name,
    };
    // Its samples' names it has already.
    let mut claims = vec![name.to_owned()];
    if !matches!(shown.family.kind(), Kind::Info | Kind::GaugeHistogram) {
        claims.push(format!("{name}_created"));
    }
    if claims.iter().any(|claim| taken.contains(claim)) {
        return None;
    }
    taken.extend(claims);
    Some(name)
}

fn write_typed(lines: &mut Lines, name: &str, family: &Family<'_>) -> Result<(), Unfit> {
    let kind = family.kind();
    write_head(lines, name, kind.as_str(), family.help());
    // Some may not have one; and the name that is shown may be spelled otherwise than the one that ends with it.
    let may_have_unit = !matches!(kind, Kind::Info | Kind::StateSet);
    let unit = family.unit().filter(|unit| may_have_unit && name.ends_with(&format!("_{unit}")));
    unit.into_iter().for_each(|unit| lines.comment("UNIT", name, |out| out.extend(unit.as_bytes())));
    lines.begin_family(name, family);
    for series in family.series() {
        lines.begin_series(series);
        match series.value() {
            SeriesValue::Number(value) if kind == Kind::Counter => {
                lines.sample("_total", None, counted(value)?);
                series.exemplar().into_iter().for_each(|exemplar| lines.exemplar(exemplar));
            }
            // An info's samples are called so, too.
            SeriesValue::Number(value) => lines.sample(kind.name_suffix(), None, value),
            SeriesValue::Summary { count, sum } => {
                lines.sample("_count", None, whole(count)?);
                lines.sample("_sum", None, counted(sum)?);
            }
            SeriesValue::Histogram(histogram) if kind == Kind::GaugeHistogram => {
                write_gauge_histogram(lines, histogram)?;
            }
            SeriesValue::Histogram(histogram) => write_histogram(lines, histogram)?,
        }
        if let Some(created) = series.created().filter(|_| lines.has_created) {
            lines.sample("_created", None, Value::Float(created.as_secs_f64()));
        }
    }
    Ok(())
}

fn write_histogram(lines: &mut Lines, histogram: Histogram<'_>) -> Result<(), Unfit> {
    lines.sample("_sum", None, counted(histogram.sum())?);
    // Below zero the sum could fall, and then it is no counter.
    if write_buckets(lines, histogram)? < 0.0 {
        return Err(Unfit);
    }
    lines.sample("_count", None, whole(histogram.count())?);
    Ok(())
}

/// The sum may fall, but without buckets for it not below zero.
fn write_gauge_histogram(lines: &mut Lines, histogram: Histogram<'_>) -> Result<(), Unfit> {
    let first_bound = write_buckets(lines, histogram)?;
    lines.sample("_gcount", None, whole(histogram.count())?);
    let sum = histogram.sum();
    if sum.to_f64().is_nan() || (sum.to_f64() < 0.0 && first_bound >= 0.0) {
        return Err(Unfit);
    }
    lines.sample("_gsum", None, sum);
    Ok(())
}

/// Appends buckets whose counts do not fall; returns the first bound.
fn write_buckets(lines: &mut Lines, histogram: Histogram<'_>) -> Result<f64, Unfit> {
    let exemplars = histogram.exemplars();
    let (mut below, mut first) = (Value::Integer(0), f64::INFINITY);
    for (at, (bound, value)) in histogram.buckets(Buckets::Cumulative).enumerate() {
        if whole(value)?.is_below(below) {
            return Err(Unfit);
        }
        below = value;
        first = bound.min(first);
        lines.sample("_bucket", Some((at, bound)), value);
        exemplars.get(at).copied().flatten().into_iter().for_each(|exemplar| lines.exemplar(exemplar));
    }
    Ok(first)
}

/// What a counter can be.
fn counted(value: Value) -> Result<Value, Unfit> {
    if is_counted(value) { Ok(value) } else { Err(Unfit) }
}

/// What a count can be.
fn whole(value: Value) -> Result<Value, Unfit> {
    if is_whole(value) { Ok(value) } else { Err(Unfit) }
}

/// A family of each name that its samples have.
fn write_unknown(lines: &mut Lines, Shown { family, name }: &Shown<'_>) {
    for suffix in suffixes(family.kind()) {
        let name = format!("{name}{suffix}");
        write_head(lines, &name, "unknown", family.help());
        lines.begin_family(&name, family);
        for series in family.series() {
            lines.begin_series(series);
            match (series.value(), *suffix) {
                (SeriesValue::Number(value), _)
                | (SeriesValue::Summary { count: value, .. }, "_count")
                | (SeriesValue::Summary { sum: value, .. }, _) => lines.sample("", None, value),
                (SeriesValue::Histogram(histogram), "_count" | "_gcount") => {
                    lines.sample("", None, histogram.count());
                }
                (SeriesValue::Histogram(histogram), "_sum" | "_gsum") => {
                    lines.sample("", None, histogram.sum())
                }
                (SeriesValue::Histogram(histogram), _) => {
                    for (at, (bound, value)) in histogram.buckets(Buckets::Cumulative).enumerate() {
                        lines.sample("", Some((at, bound)), value);
                    }
                }
            }
        }
    }
}

fn write_head(lines: &mut Lines, name: &str, word: &str, help: &str) {
    // Quotation marks are escaped as in label values.
    lines.comment("HELP", name, |out| write_label_value(out, help));
    lines.comment("TYPE", name, |out| out.extend(word.as_bytes()));
}
