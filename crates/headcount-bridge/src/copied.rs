//! A series that was copied, and how far.
//!
//! A counter of ours takes what theirs has grown by. So each process adds what it has counted itself, in whatever
//! file it has: after a restart from 0, and after a fork from what the parent had then.

use headcount::{Buckets, FloatCounter, Gauge, GaugeMode, Histogram, Info, Summary};

use crate::exposed::{Exposed, Kind, Value};
use crate::families::{Child, Families, Labels};
use crate::total::Total;

/// A series of ours, and how far it has followed theirs.
#[derive(Debug)]
pub(crate) enum Copied {
    Counter {
        child: Child<FloatCounter>,
        total: Total,
    },
    Gauge(Child<Gauge>),
    Histogram {
        child: Child<Histogram>,
        counts: Vec<u64>,
        sum: f64,
    },
    Summary {
        child: Child<Summary>,
        count: u64,
        sum: f64,
    },
    /// That it is there says all.
    Info(Child<Info>),
}

/// Whether what a series has come to is added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Add {
    /// It is this process's own.
    Yes,
    /// Another process adds it.
    No,
}

impl Copied {
    pub(crate) fn begin(
        families: &Families,
        mode: GaugeMode,
        name: &str,
        labels: &Labels,
        family: &Exposed,
        value: &Value,
    ) -> Self {
        let help = family.help.as_str();
        match family.kind {
            Kind::Counter => {
                let child = families
                    .child(labels, |registry, names| registry.dynamic_float_counter(name, help, names));
                Self::Counter { total: Total::new(child.metric), child }
            }
            Kind::Gauge => Self::Gauge(
                families.child(labels, |registry, names| registry.dynamic_gauge(name, help, mode, names)),
            ),
            Kind::Histogram => {
                let buckets = bounds(value);
                let child = families
                    .child(labels, |registry, names| registry.dynamic_histogram(name, help, &buckets, names));
                Self::Histogram { child, counts: Vec::new(), sum: 0.0 }
            }
            Kind::Summary => {
                let child =
                    families.child(labels, |registry, names| registry.dynamic_summary(name, help, names));
                Self::Summary { child, count: 0, sum: 0.0 }
            }
            Kind::Info => {
                Self::Info(families.child(labels, |registry, names| registry.dynamic_info(name, help, names)))
            }
        }
    }

    pub(crate) fn copy(&mut self, value: &Value, add: Add) {
        match (self, value) {
            (Self::Counter { total, .. }, Value::Number(value)) => match add {
                Add::Yes => total.follow(*value),
                Add::No => total.pass_over(*value),
            },
            // Of what a parent has set, the child knows nothing: it is set when the child copies.
            (Self::Gauge(child), Value::Number(value)) if add == Add::Yes => child.metric.set(*value),
            (Self::Histogram { child, counts, sum }, Value::Observed { buckets, count, sum: now_sum }) => {
                let now = apart(buckets, *count);
                if now.iter().zip(counts.iter()).any(|(now, before)| now < before) {
                    // It has begun again.
                    (*counts, *sum) = (Vec::new(), 0.0);
                }
                if add == Add::Yes {
                    let before = counts.iter().copied().chain(std::iter::repeat(0));
                    let more: Vec<u64> = now.iter().zip(before).map(|(now, before)| now - before).collect();
                    child.metric.add_counts(&more, now_sum - *sum);
                }
                (*counts, *sum) = (now, *now_sum);
            }
            (Self::Summary { child, count, sum }, Value::Observed { count: now, sum: now_sum, .. }) => {
                if now < count {
                    (*count, *sum) = (0, 0.0);
                }
                if add == Add::Yes {
                    child.metric.add_count(now - *count, now_sum - *sum);
                }
                (*count, *sum) = (*now, *now_sum);
            }
            // A registry has each name once.
            _ => {}
        }
    }

    /// Theirs is gone: ours is no longer shown.
    pub(crate) fn remove(&self) {
        match self {
            Self::Counter { child, .. } => child.remove(),
            Self::Gauge(child) => child.remove(),
            Self::Histogram { child, .. } => child.remove(),
            Self::Summary { child, .. } => child.remove(),
            Self::Info(child) => child.remove(),
        }
    }

    /// Theirs is there again.
    pub(crate) fn bring_back(&self) {
        match self {
            Self::Counter { child, .. } => child.bring_back(),
            Self::Gauge(child) => child.bring_back(),
            Self::Histogram { child, .. } => child.bring_back(),
            Self::Summary { child, .. } => child.bring_back(),
            Self::Info(child) => child.bring_back(),
        }
    }
}

/// The bounds of what was observed. Without any, or with bounds in disorder, those of ours.
fn bounds(value: &Value) -> Buckets {
    let bounds = match value {
        Value::Observed { buckets, .. } => buckets.iter().map(|(bound, _)| *bound).collect(),
        Value::Number(_) => Vec::new(),
    };
    Buckets::new(bounds).unwrap_or_default()
}

/// The count of each bucket by itself, the one of `+Inf` last.
fn apart(cumulated: &[(f64, u64)], count: u64) -> Vec<u64> {
    let mut before = 0;
    let totals = cumulated.iter().map(|(_, total)| *total).chain([count]);
    totals.map(|total| total.saturating_sub(std::mem::replace(&mut before, total))).collect()
}
