//! What is observed, durations and sizes, in whatever kind of metric they are wanted.

use std::sync::OnceLock;

use headcount::{Exemplar, Histogram, NativeHistogram, Summary};

use crate::families::Measured;
use crate::label::{Label, Values};

/// A family of what is observed.
pub(crate) enum Observed {
    Histogram(Measured<Histogram>),
    Native(Measured<NativeHistogram>),
    Summary(Measured<Summary>),
}

/// A series of what is observed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observer {
    Histogram(Histogram),
    Native(NativeHistogram),
    Summary(Summary),
}

/// A series of the sizes of bodies.
pub(crate) enum Sizes {
    Every(Observer),
    /// Only of bodies that are not empty.
    NotEmpty(Box<NotEmpty>),
}

/// There may never be a body that is not empty, so that the series is made with the first.
pub(crate) struct NotEmpty {
    made: OnceLock<Observer>,
    family: &'static Observed,
    values: Vec<String>,
}

impl Observed {
    pub(crate) fn has(&self, label: Label) -> bool {
        match self {
            Self::Histogram(family) => family.has(label),
            Self::Native(family) => family.has(label),
            Self::Summary(family) => family.has(label),
        }
    }

    fn values<'a>(&'a self, values: &Values<'a>, computed: &[&'a str]) -> Vec<&'a str> {
        match self {
            Self::Histogram(family) => family.values(values, computed),
            Self::Native(family) => family.values(values, computed),
            Self::Summary(family) => family.values(values, computed),
        }
    }

    fn with(&self, values: &[&str]) -> Observer {
        match self {
            Self::Histogram(family) => Observer::Histogram(family.with(values)),
            Self::Native(family) => Observer::Native(family.with(values)),
            Self::Summary(family) => Observer::Summary(family.with(values)),
        }
    }
}

/// The series of one metric that is observed, if it is on.
pub(crate) fn observer(
    family: Option<&Observed>,
    values: &Values<'_>,
    computed: &[&str],
) -> Option<Observer> {
    family.map(|family| family.with(&family.values(values, computed)))
}

impl Observer {
    /// Not where it is called: a request observes several values, and each time the same code is in the processor's cache,
    /// where a server has little of ours from one request to the next.
    #[inline(never)]
    pub(crate) fn observe(&self, value: f64) {
        match self {
            Self::Histogram(histogram) => histogram.observe(value),
            _ => self.observe_otherwise(value, None),
        }
    }

    /// Observes a value, perhaps with an exemplar, which summaries cannot have.
    #[inline(always)]
    pub(crate) fn observe_with(&self, value: f64, exemplar: Option<&Exemplar>) {
        match exemplar {
            None => self.observe(value),
            exemplar => self.observe_otherwise(value, exemplar),
        }
    }

    /// What is rarer. Apart, so that each observation is not as long as all kinds together.
    #[inline(never)]
    fn observe_otherwise(&self, value: f64, exemplar: Option<&Exemplar>) {
        match (self, exemplar) {
            (Self::Histogram(histogram), Some(exemplar)) => histogram.observe_with_exemplar(value, *exemplar),
            (Self::Native(histogram), Some(exemplar)) => histogram.observe_with_exemplar(value, *exemplar),
            (Self::Histogram(histogram), None) => histogram.observe(value),
            (Self::Native(histogram), None) => histogram.observe(value),
            (Self::Summary(summary), _) => summary.observe(value),
        }
    }
}

impl Sizes {
    pub(crate) fn every(family: &Observed, values: &Values<'_>, computed: &[&str]) -> Self {
        Self::Every(family.with(&family.values(values, computed)))
    }

    pub(crate) fn not_empty(family: &'static Observed, values: &Values<'_>, computed: &[&str]) -> Self {
        let values = family.values(values, computed).into_iter().map(str::to_owned).collect();
        Self::NotEmpty(Box::new(NotEmpty { made: OnceLock::new(), family, values }))
    }

    #[inline(always)]
    pub(crate) fn observe(&self, bytes: u64) {
        let observer = match self {
            Self::Every(observer) => observer,
            Self::NotEmpty(series) if bytes > 0 => series.observer(),
            Self::NotEmpty(_) => return,
        };
        // Processors know how to make a float of an integer that has a sign; no body is as long as the longest of these.
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "a body beyond 2⁵³ bytes may be off by one")]
        observer.observe(bytes as f64);
    }
}

impl NotEmpty {
    #[inline(never)]
    fn observer(&self) -> &Observer {
        self.made
            .get_or_init(|| self.family.with(&self.values.iter().map(String::as_str).collect::<Vec<_>>()))
    }
}
