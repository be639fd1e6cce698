//! The recorder for the facade `metrics`: what the program and its libraries count with it is in our cells at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use headcount::{Buckets, GaugeMode, OrNoop, RegisterError, Registry};
use metrics::{Key, KeyName, Metadata, SetRecorderError, SharedString, Unit};

use crate::cache::{Cache, Kept};
use crate::families::{Families, Labels, spelled};
use crate::handle::{CounterHandle, GaugeHandle, HistogramHandle};
use crate::matcher::{Matcher, Rules};
use crate::spelling::{metric_name, with_unit};

/// Records what is counted with the facade `metrics`. A small handle.
///
/// Names and labels are spelled as `metrics-exporter-prometheus` spells them, with three differences: a counter's
/// sample always ends in `_total`, a label that begins with two underscores has one of them, and histograms have
/// buckets, since the quantiles of several processes cannot be merged. A name that comes with several sets of labels
/// is one metric; one that is there already as another kind counts nowhere, which is told as the worker crate tells it
/// ([`headcount::error::report_to`]).
///
/// A metric has as many series as the worker crate allows; what comes beyond counts in one whose labels are `overflow`.
/// The first 100,000 label sets are found fast. Those that come later count, but take microseconds to find, and what a
/// counter is set to with `absolute` is passed over.
///
/// Describe a metric before it is counted with: its help text is in the file as soon as it is, and final. Without one
/// it has none.
#[derive(Clone, Copy)]
pub struct Recorder(&'static Inner);

struct Inner {
    options: Options,
    families: Families,
    descriptions: Mutex<HashMap<String, Description>>,
    counters: Cache<metrics::Counter>,
    gauges: Cache<metrics::Gauge>,
    histograms: Cache<metrics::Histogram>,
}

#[derive(Debug)]
struct Options {
    registry: Option<Registry>,
    buckets: Rules<Buckets>,
    modes: Rules<GaugeMode>,
    global_labels: Vec<(String, String)>,
    names_units: bool,
}

#[derive(Clone, Default)]
struct Description {
    help: SharedString,
    unit: Option<Unit>,
}

/// Makes a recorder.
#[derive(Debug)]
#[must_use = "it records once it is installed"]
pub struct Builder(Options);

/// Why a recorder could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The metrics directory takes no file.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The program has another recorder.
    #[error("another recorder is installed: `metrics` has one for each program")]
    Taken(#[from] SetRecorderError<Recorder>),
}

impl Recorder {
    /// Records all that the program counts from now on, with the options that are the default: one call.
    ///
    /// # Errors
    ///
    /// When there is another recorder, or the metrics directory takes no file.
    pub fn install() -> Result<(), InstallError> {
        Self::builder().install()
    }

    /// Begins a recorder.
    pub fn builder() -> Builder {
        Builder(Options {
            registry: None,
            buckets: Rules::new(Buckets::default()),
            modes: Rules::new(GaugeMode::LiveSum),
            global_labels: Vec::new(),
            names_units: false,
        })
    }
}

impl Builder {
    /// The buckets of histograms for which there is no rule: instead of 5 ms to 10 s.
    pub fn buckets(mut self, buckets: Buckets) -> Self {
        self.0.buckets.default = buckets;
        self
    }

    /// The buckets of histograms with certain names.
    pub fn buckets_for(mut self, matcher: Matcher, buckets: Buckets) -> Self {
        self.0.buckets.add(matcher, buckets);
        self
    }

    /// How gauges are merged for which there is no rule: instead of by the sum over living processes.
    pub fn gauge_mode(mut self, mode: GaugeMode) -> Self {
        self.0.modes.default = mode;
        self
    }

    /// How gauges with certain names are merged.
    pub fn gauge_mode_for(mut self, matcher: Matcher, mode: GaugeMode) -> Self {
        self.0.modes.add(matcher, mode);
        self
    }

    /// A label on every metric that has none of that name.
    pub fn global_label(mut self, name: &str, value: &str) -> Self {
        self.0.global_labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts the unit that a metric is described with behind its name.
    pub fn recommended_naming(mut self) -> Self {
        self.0.names_units = true;
        self
    }

    /// Counts in another registry than the default one.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.0.registry = Some(registry);
        self
    }

    /// Makes the recorder, for those who install it themselves, behind layers of their own for instance.
    ///
    /// # Errors
    ///
    /// When the metrics directory takes no file.
    pub fn build(self) -> Result<Recorder, RegisterError> {
        let registry = self.0.registry.map_or_else(Registry::global, Ok)?;
        let inner = Inner {
            options: self.0,
            families: Families::new(registry),
            descriptions: Mutex::default(),
            counters: Cache::default(),
            gauges: Cache::default(),
            histograms: Cache::default(),
        };
        // As long as the process, like the metrics themselves.
        Ok(Recorder(Box::leak(Box::new(inner))))
    }

    /// Makes it the program's recorder.
    ///
    /// # Errors
    ///
    /// When there is another one, or the metrics directory takes no file.
    pub fn install(self) -> Result<(), InstallError> {
        Ok(metrics::set_global_recorder(self.build()?)?)
    }
}

impl Recorder {
    fn describe(self, key: &KeyName, unit: Option<Unit>, help: SharedString) {
        let mut descriptions = self.0.descriptions.lock().unwrap_or_else(PoisonError::into_inner);
        // The first description is the one that counts, as in the exporter of `metrics`.
        descriptions.entry(metric_name(key.as_str())).or_insert(Description { help, unit });
    }

    /// The name under which a metric is exposed, and its help text.
    fn described(self, key: &Key) -> (String, SharedString) {
        let name = metric_name(key.name());
        let descriptions = self.0.descriptions.lock().unwrap_or_else(PoisonError::into_inner);
        let Description { help, unit } = descriptions.get(&name).cloned().unwrap_or_default();
        let unit = match unit.filter(|_| self.0.options.names_units) {
            None | Some(Unit::Count) => return (name, help),
            Some(Unit::Percent) => "ratio",
            Some(unit) => unit.as_str(),
        };
        (with_unit(&name, unit), help)
    }

    fn labels(self, key: &Key, reserved: &str) -> Labels {
        let global = self.0.options.global_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        spelled(global.chain(key.labels().map(|label| (label.key(), label.value()))), reserved)
    }

    fn counter(self, key: &Key, kept: Kept) -> metrics::Counter {
        let (name, help) = self.described(key);
        let counter = self
            .0
            .families
            .series(&self.labels(key, ""), |registry, labels| registry.dynamic_counter(&name, &help, labels));
        metrics::Counter::from_arc(Arc::new(CounterHandle::new(counter.or_noop(), kept)))
    }

    fn gauge(self, key: &Key) -> metrics::Gauge {
        let (name, help) = self.described(key);
        let mode = *self.0.options.modes.get(&name);
        let gauge = self.0.families.series(&self.labels(key, "pid"), |registry, labels| {
            registry.dynamic_gauge(&name, &help, mode, labels)
        });
        metrics::Gauge::from_arc(Arc::new(GaugeHandle(gauge.or_noop())))
    }

    fn histogram(self, key: &Key) -> metrics::Histogram {
        let (name, help) = self.described(key);
        let buckets = self.0.options.buckets.get(&name);
        let histogram = self.0.families.series(&self.labels(key, "le"), |registry, labels| {
            registry.dynamic_histogram(&name, &help, buckets, labels)
        });
        metrics::Histogram::from_arc(Arc::new(HistogramHandle(histogram.or_noop())))
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, unit, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        self.0.counters.get_or_make(key, |kept| self.counter(key, kept))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        self.0.gauges.get_or_make(key, |_| self.gauge(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        self.0.histograms.get_or_make(key, |_| self.histogram(key))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.options).finish()
    }
}
