//! What a registry holds, added to what was copied from it before.
//!
//! A counter of ours takes what theirs has grown by. So each process adds what it has counted itself, in whatever
//! file it has: after a restart from 0, and after a fork from what the parent had then.

use std::collections::HashMap;

use headcount::{Buckets, Gauge, GaugeMode, Histogram, OrNoop, RegisterError, Summary};

use crate::exposed::{Exposed, Kind, Sample, Value};
use crate::families::{Families, Labels, spelled};
use crate::matcher::Rules;
use crate::spelling::metric_name;
use crate::total::Total;

/// Copies into metrics of ours.
#[derive(Debug)]
pub(crate) struct Copier {
    pub(crate) families: Families,
    pub(crate) modes: Rules<GaugeMode>,
    /// Which metrics are copied.
    pub(crate) wanted: Rules<bool>,
    series: HashMap<(String, Labels), Copied>,
}

/// A series that was copied, and how far.
#[derive(Debug)]
enum Copied {
    Counter(Total),
    Gauge(Gauge),
    Histogram {
        histogram: Histogram,
        counts: Vec<u64>,
        sum: f64,
    },
    Summary {
        summary: Summary,
        count: u64,
        sum: f64,
    },
    /// That it is there says all.
    Info,
}

/// Whether what a series has come to is added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Add {
    /// It is this process's own.
    Yes,
    /// Another process adds it.
    No,
}

impl Copier {
    pub(crate) fn new(families: Families, modes: Rules<GaugeMode>, wanted: Rules<bool>) -> Self {
        Self { families, modes, wanted, series: HashMap::new() }
    }

    pub(crate) fn copy(&mut self, exposed: &[Exposed], add: Add) {
        for family in exposed {
            let name = metric_name(&family.name);
            if *self.wanted.get(&name) {
                family.samples.iter().for_each(|sample| self.copy_sample(&name, family, sample, add));
            }
        }
    }

    fn copy_sample(&mut self, name: &str, family: &Exposed, sample: &Sample, add: Add) {
        let reserved = match family.kind {
            Kind::Counter | Kind::Info => "",
            Kind::Gauge => "pid",
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
        };
        let labels =
            spelled(sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())), reserved);
        let Self { families, modes, series, .. } = self;
        let key = (name.to_owned(), labels);
        let copied = series.entry(key).or_insert_with_key(|(name, labels)| {
            Copied::begin(families, *modes.get(name), name, labels, family, &sample.value)
        });
        copied.copy(&sample.value, add);
    }
}

impl Copied {
    fn begin(
        families: &Families,
        mode: GaugeMode,
        name: &str,
        labels: &Labels,
        family: &Exposed,
        value: &Value,
    ) -> Self {
        let help = family.help.as_str();
        match family.kind {
            Kind::Counter => Self::Counter(Total::new(
                families
                    .series(labels, |registry, names| registry.dynamic_float_counter(name, help, names))
                    .or_noop(),
            )),
            Kind::Gauge => Self::Gauge(
                families
                    .series(labels, |registry, names| registry.dynamic_gauge(name, help, mode, names))
                    .or_noop(),
            ),
            Kind::Histogram => Self::Histogram {
                histogram: histogram(families, name, labels, help, value).or_noop(),
                counts: Vec::new(),
                sum: 0.0,
            },
            Kind::Summary => Self::Summary {
                summary: families
                    .series(labels, |registry, names| registry.dynamic_summary(name, help, names))
                    .or_noop(),
                count: 0,
                sum: 0.0,
            },
            Kind::Info => {
                let info =
                    families.series(labels, |registry, names| registry.dynamic_info(name, help, names));
                info.or_noop().hold();
                Self::Info
            }
        }
    }

    fn copy(&mut self, value: &Value, add: Add) {
        match (self, value) {
            (Self::Counter(total), Value::Number(value)) => match add {
                Add::Yes => total.follow(*value),
                Add::No => total.pass_over(*value),
            },
            // Of what a parent has set, the child knows nothing: it is set when the child copies.
            (Self::Gauge(gauge), Value::Number(value)) if add == Add::Yes => gauge.set(*value),
            (
                Self::Histogram { histogram, counts, sum },
                Value::Observed { buckets, count, sum: now_sum },
            ) => {
                let now = apart(buckets, *count);
                if now.iter().zip(counts.iter()).any(|(now, before)| now < before) {
                    // It has begun again.
                    (*counts, *sum) = (Vec::new(), 0.0);
                }
                if add == Add::Yes {
                    let before = counts.iter().copied().chain(std::iter::repeat(0));
                    let more: Vec<u64> = now.iter().zip(before).map(|(now, before)| now - before).collect();
                    histogram.add_counts(&more, now_sum - *sum);
                }
                (*counts, *sum) = (now, *now_sum);
            }
            (Self::Summary { summary, count, sum }, Value::Observed { count: now, sum: now_sum, .. }) => {
                if now < count {
                    (*count, *sum) = (0, 0.0);
                }
                if add == Add::Yes {
                    summary.add_count(now - *count, now_sum - *sum);
                }
                (*count, *sum) = (*now, *now_sum);
            }
            // A registry has each name once.
            _ => {}
        }
    }
}

fn histogram(
    families: &Families,
    name: &str,
    labels: &Labels,
    help: &str,
    value: &Value,
) -> Result<Histogram, RegisterError> {
    let bounds = match value {
        Value::Observed { buckets, .. } => buckets.iter().map(|(bound, _)| *bound).collect(),
        Value::Number(_) => Vec::new(),
    };
    // One without a bound, or with bounds in disorder, has the buckets of ours.
    let buckets = Buckets::new(bounds).unwrap_or_default();
    families.series(labels, |registry, names| registry.dynamic_histogram(name, help, &buckets, names))
}

/// The count of each bucket by itself, the one of `+Inf` last.
fn apart(cumulated: &[(f64, u64)], count: u64) -> Vec<u64> {
    let mut before = 0;
    let totals = cumulated.iter().map(|(_, total)| *total).chain([count]);
    totals.map(|total| total.saturating_sub(std::mem::replace(&mut before, total))).collect()
}

#[cfg(test)]
mod tests {
    use headcount::Registry;

    use super::*;

    fn exposed(kind: Kind, value: Value) -> Exposed {
        let labels = vec![("a".to_owned(), "x".to_owned())];
        Exposed { name: "m".to_owned(), help: String::new(), kind, samples: vec![Sample { labels, value }] }
    }

    fn observed(buckets: [u64; 2], count: u64, sum: f64) -> Value {
        Value::Observed { buckets: vec![(1.0, buckets[0]), (2.0, buckets[1])], count, sum }
    }

    /// Copies one after the other, and looks for a sample.
    fn check(kind: Kind, values: &[(Add, Value)], expected: &[&str]) {
        let registry = Registry::private().unwrap();
        let mut copier =
            Copier::new(Families::new(registry), Rules::new(GaugeMode::LiveSum), Rules::new(true));
        for (add, value) in values {
            copier.copy(&[exposed(kind, value.clone())], *add);
        }
        let text = registry.render();
        for sample in expected {
            assert!(text.contains(&format!("{sample}\n")), "{sample}: {text}");
        }
    }

    #[test]
    fn what_was_counted_since_the_last_copy_is_added() {
        let number = |n| (Add::Yes, Value::Number(n));
        check(Kind::Counter, &[number(1.5), number(4.0)], &["m_total{a=\"x\"} 4"]);
        check(Kind::Gauge, &[number(1.5), number(-4.0)], &["m{a=\"x\"} -4"]);
        let values = [(Add::Yes, observed([1, 2], 4, 9.0)), (Add::Yes, observed([1, 3], 6, 12.0))];
        let buckets = ["m_bucket{a=\"x\",le=\"1.0\"} 1", "m_bucket{a=\"x\",le=\"2.0\"} 3"];
        check(Kind::Histogram, &values, &[buckets[0], buckets[1], "m_count{a=\"x\"} 6", "m_sum{a=\"x\"} 12"]);
        check(Kind::Summary, &values, &["m_count{a=\"x\"} 6", "m_sum{a=\"x\"} 12"]);
        check(Kind::Info, &[number(1.0), number(1.0)], &["m_info{a=\"x\"} 1"]);
    }

    #[test]
    fn what_the_parent_had_counted_is_not_the_childs() {
        let values = [(Add::No, Value::Number(5.0)), (Add::Yes, Value::Number(8.0))];
        check(Kind::Counter, &values, &["m_total{a=\"x\"} 3"]);
        let values = [(Add::No, observed([1, 2], 4, 9.0)), (Add::Yes, observed([1, 3], 6, 12.0))];
        check(Kind::Histogram, &values, &["m_count{a=\"x\"} 2", "m_sum{a=\"x\"} 3"]);
        check(Kind::Summary, &values, &["m_count{a=\"x\"} 2", "m_sum{a=\"x\"} 3"]);
    }

    #[test]
    fn what_was_reset_counts_anew() {
        let values = [(Add::Yes, observed([1, 2], 4, 9.0)), (Add::Yes, observed([0, 1], 1, 1.5))];
        check(Kind::Histogram, &values, &["m_count{a=\"x\"} 5", "m_sum{a=\"x\"} 10.5"]);
        check(Kind::Summary, &values, &["m_count{a=\"x\"} 5", "m_sum{a=\"x\"} 10.5"]);
    }
}
