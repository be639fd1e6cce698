//! Registries: which metrics there are, and the file they are recorded in.
//!
//! Most programs have the default one and never name it: `Counter::new` and the like use it. It decides
//! where metrics live when the first one is created, by `PROMETHEUS_MULTIPROC_DIR`.

use std::any::Any;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use headcount_store::directory::from_environment;
use headcount_store::format::family::{Family as Description, Shape};
use headcount_store::metric::{GaugeMode, Kind, check_label_name, check_metric_name};
use headcount_store::process::Origin;
use headcount_store::write::{CreateError, OnFork, Registration, Store};

use crate::buckets::Buckets;
use crate::counter::{Counter, FloatCounter};
use crate::error::RegisterError;
use crate::family::{Family, Metric};
use crate::gauge::Gauge;
use crate::histogram::Histogram;
use crate::summary::Summary;

/// A set of metrics with a file of its own. A small handle; what it stands for lives as long as the
/// process.
#[derive(Clone, Copy, Debug)]
pub struct Registry(&'static Inner);

#[derive(Debug)]
struct Inner {
    store: Store,
    /// Taken only under a [`Registration`], so that a forked child never finds it locked.
    families: Mutex<HashMap<String, Registered>>,
}

#[derive(Debug)]
struct Registered {
    help: String,
    shape: Shape,
    labels: Vec<String>,
    /// The [`Family`], whose type the shape and the number of labels tell.
    family: Box<dyn Any + Send>,
}

static DEFAULT: OnceLock<Registry> = OnceLock::new();

/// The variables by which a supervisor tells a worker its place.
const SLOT: &str = "HEADCOUNT_SLOT";
const GENERATION: &str = "HEADCOUNT_GENERATION";

/// Makes the default registry record in `directory`, whatever the environment says.
///
/// # Errors
///
/// When a metric has been created before, or the directory does not exist or takes no file.
pub fn use_directory(directory: impl AsRef<Path>) -> Result<(), RegisterError> {
    let mut registration = Registration::begin();
    if DEFAULT.get().is_some() {
        return Err(RegisterError::TooLate);
    }
    let store = create_store(&mut registration, directory.as_ref())?;
    let _ = DEFAULT.set(Registry::new(store));
    Ok(())
}

fn create_store(registration: &mut Registration, directory: &Path) -> Result<Store, CreateError> {
    registration.create_store(directory, origin(), OnFork::Follow)
}

fn origin() -> Origin {
    let number = |name| std::env::var(name).ok();
    Origin {
        slot: number(SLOT).and_then(|slot| slot.parse().ok()),
        generation: number(GENERATION).and_then(|generation| generation.parse().ok()).unwrap_or(0),
    }
}

impl Registry {
    fn new(store: Store) -> Self {
        Self(Box::leak(Box::new(Inner { store, families: Mutex::default() })))
    }

    /// The registry that `Counter::new` and the like use.
    ///
    /// # Errors
    ///
    /// When the directory that the environment names does not exist or takes no file.
    pub fn global() -> Result<Self, RegisterError> {
        if let Some(&registry) = DEFAULT.get() {
            return Ok(registry);
        }
        let mut registration = Registration::begin();
        if let Some(&registry) = DEFAULT.get() {
            return Ok(registry);
        }
        let store = match from_environment() {
            Some(directory) => create_store(&mut registration, &directory)?,
            None => registration.create_private_store(OnFork::Follow)?,
        };
        Ok(*DEFAULT.get_or_init(|| Self::new(store)))
    }

    /// A registry that records in a file of its own in `directory`.
    ///
    /// # Errors
    ///
    /// When the directory does not exist or takes no file.
    pub fn in_directory(directory: impl AsRef<Path>) -> Result<Self, RegisterError> {
        Ok(Self::new(create_store(&mut Registration::begin(), directory.as_ref())?))
    }

    /// As [`in_directory`](Self::in_directory), for a process that forks only to exec: children do not
    /// get files of their own.
    ///
    /// # Errors
    ///
    /// When the directory does not exist or takes no file.
    pub fn of_parent_in(directory: impl AsRef<Path>) -> Result<Self, RegisterError> {
        let store = Registration::begin().create_store(directory.as_ref(), origin(), OnFork::Leave)?;
        Ok(Self::new(store))
    }

    /// A registry in memory that no other process sees.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn private() -> Result<Self, RegisterError> {
        Ok(Self::new(Registration::begin().create_private_store(OnFork::Follow)?))
    }

    pub(crate) fn store(self) -> Store {
        self.0.store
    }

    /// A counter without labels; see [`Counter::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn counter(self, name: &str, help: &str) -> Result<Counter, RegisterError> {
        self.counter_family(name, help, []).and_then(Family::only)
    }

    /// Counters with labels; see [`Counter::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn counter_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Counter, N>, RegisterError> {
        self.register(name, help, Shape::Counter, labels)
    }

    /// A counter of fractions without labels; see [`FloatCounter::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn float_counter(self, name: &str, help: &str) -> Result<FloatCounter, RegisterError> {
        self.float_counter_family(name, help, []).and_then(Family::only)
    }

    /// Counters of fractions with labels; see [`FloatCounter::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn float_counter_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<FloatCounter, N>, RegisterError> {
        self.register(name, help, Shape::FloatCounter, labels)
    }

    /// A gauge without labels; see [`Gauge::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn gauge(self, name: &str, help: &str, mode: GaugeMode) -> Result<Gauge, RegisterError> {
        self.gauge_family(name, help, mode, []).and_then(Family::only)
    }

    /// Gauges with labels; see [`Gauge::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn gauge_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        mode: GaugeMode,
        labels: [&str; N],
    ) -> Result<Family<Gauge, N>, RegisterError> {
        self.register(name, help, Shape::Gauge(mode), labels)
    }

    /// A histogram without labels; see [`Histogram::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn histogram(self, name: &str, help: &str, buckets: Buckets) -> Result<Histogram, RegisterError> {
        self.histogram_family(name, help, buckets, []).and_then(Family::only)
    }

    /// Histograms with labels; see [`Histogram::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn histogram_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        buckets: Buckets,
        labels: [&str; N],
    ) -> Result<Family<Histogram, N>, RegisterError> {
        self.register(name, help, Shape::Histogram { bounds: buckets.bounds().to_vec() }, labels)
    }

    /// A summary without labels; see [`Summary::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn summary(self, name: &str, help: &str) -> Result<Summary, RegisterError> {
        self.summary_family(name, help, []).and_then(Family::only)
    }

    /// Summaries with labels; see [`Summary::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn summary_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Summary, N>, RegisterError> {
        self.register(name, help, Shape::Summary, labels)
    }

    /// Finds the family of that name, or creates it.
    fn register<M: Metric, const N: usize>(
        self,
        name: &str,
        help: &str,
        shape: Shape,
        labels: [&str; N],
    ) -> Result<Family<M, N>, RegisterError> {
        let name = family_name(name, shape.kind());
        check_names(name, shape.kind(), &labels)?;
        let mut registration = Registration::begin();
        let mut families = self.0.families.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = families.get(name) {
            let same = |difference| RegisterError::Different { name: name.to_owned(), difference };
            return known.as_same(help, &shape, &labels).map_err(same);
        }
        check_samples(name, shape.kind(), &families)?;
        let description = Description { name, help, unit: "", shape: shape.clone(), labels: labels.to_vec() };
        let number = registration
            .add_family(self.0.store, &description)
            .map_err(|source| RegisterError::Space { name: name.to_owned(), source })?;
        let family = Family::create(self.0.store, number, name.to_owned(), &shape);
        let labels = labels.map(str::to_owned).to_vec();
        let registered = Registered { help: help.to_owned(), shape, labels, family: Box::new(family) };
        families.insert(name.to_owned(), registered);
        Ok(family)
    }
}

impl Registered {
    /// The family, if it is the one that is asked for; else what differs.
    fn as_same<M: Metric, const N: usize>(
        &self,
        help: &str,
        shape: &Shape,
        labels: &[&str; N],
    ) -> Result<Family<M, N>, &'static str> {
        if self.shape != *shape {
            let same_kind = self.shape.kind() == shape.kind();
            return Err(if same_kind { "mode, type of value or set of buckets" } else { "kind" });
        }
        if self.labels != *labels {
            return Err("set of labels");
        }
        if self.help != help {
            return Err("help text");
        }
        self.family.downcast_ref().copied().ok_or("kind")
    }
}

/// A counter is the same with and without `_total` behind its name, which its samples get anyway.
fn family_name(name: &str, kind: Kind) -> &str {
    match kind {
        Kind::Counter => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    }
}

fn check_names(name: &str, kind: Kind, labels: &[&str]) -> Result<(), RegisterError> {
    check_metric_name(name)?;
    // What the exposition and the merge add themselves.
    let reserved = match kind {
        Kind::Histogram => "le",
        Kind::Summary => "quantile",
        Kind::Gauge => "pid",
        Kind::Counter => "",
    };
    for (at, &label) in labels.iter().enumerate() {
        check_label_name(label)?;
        let (name, label) = (name.to_owned(), label.to_owned());
        if label == reserved {
            return Err(RegisterError::ReservedLabel { name, label, kind });
        }
        if labels[..at].contains(&label.as_str()) {
            return Err(RegisterError::DuplicateLabel { name, label });
        }
    }
    Ok(())
}

/// No two families may expose samples of the same name: `x_sum` is taken once there is a histogram `x`.
fn check_samples(
    name: &str,
    kind: Kind,
    families: &HashMap<String, Registered>,
) -> Result<(), RegisterError> {
    for (other, registered) in families {
        for theirs in registered.shape.kind().sample_suffixes() {
            for ours in kind.sample_suffixes() {
                let sample = format!("{name}{ours}");
                if sample.strip_prefix(other.as_str()) == Some(theirs) {
                    return Err(RegisterError::Taken { name: name.to_owned(), sample, other: other.clone() });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry::private().unwrap()
    }

    #[test]
    fn the_same_metric_twice_is_the_same_metric() {
        let registry = registry();
        registry.counter("c", "help").unwrap().inc();
        registry.counter("c_total", "help").unwrap().inc();
        assert!(registry.render().contains("c_total 2\n"));
        let family = || registry.counter_family("d", "help", ["a", "b"]).unwrap();
        family().with(["x", "y"]).inc();
        family().with(["x", "y"]).inc();
        assert!(registry.render().contains("d_total{a=\"x\",b=\"y\"} 2\n"));
    }

    #[test]
    fn another_definition_is_an_error_that_says_what_differs() {
        let registry = registry();
        registry.gauge("g", "help", GaugeMode::Sum).unwrap();
        let difference = |result: Result<(), RegisterError>| match result {
            Err(RegisterError::Different { difference, .. }) => difference,
            other => panic!("{other:?}"),
        };
        assert_eq!(difference(registry.counter("g", "help").map(drop)), "kind");
        assert_eq!(difference(registry.gauge("g", "other", GaugeMode::Sum).map(drop)), "help text");
        let mode = registry.gauge("g", "help", GaugeMode::All).map(drop);
        assert_eq!(difference(mode), "mode, type of value or set of buckets");
        let labels = registry.gauge_family("g", "help", GaugeMode::Sum, ["a"]).map(drop);
        assert_eq!(difference(labels), "set of labels");
        registry.histogram("h", "help", Buckets::default()).unwrap();
        let buckets = registry.histogram("h", "help", Buckets::new([1.0]).unwrap()).map(drop);
        assert_eq!(difference(buckets), "mode, type of value or set of buckets");
        registry.counter("c", "help").unwrap();
        assert_eq!(
            difference(registry.float_counter("c", "help").map(drop)),
            "mode, type of value or set of buckets"
        );
    }

    #[test]
    fn names_and_labels_are_refused_with_the_rule_they_break() {
        let registry = registry();
        let message = |result: Result<Family<Counter, 1>, RegisterError>| result.unwrap_err().to_string();
        assert!(message(registry.counter_family("9x", "", ["a"])).contains("begins with `9`"));
        assert!(message(registry.counter_family("x", "", ["a-b"])).contains("contains `-`"));
        assert!(message(registry.counter_family("x", "", ["__a"])).contains("two underscores"));
        assert!(registry.counter("_total", "").unwrap_err().to_string().contains("empty"));
        let reserved = |error| matches!(error, RegisterError::ReservedLabel { .. });
        assert!(reserved(registry.histogram_family("h", "", Buckets::default(), ["le"]).unwrap_err()));
        assert!(reserved(registry.summary_family("s", "", ["quantile"]).unwrap_err()));
        assert!(reserved(registry.gauge_family("g", "", GaugeMode::Sum, ["pid"]).unwrap_err()));
        let twice = registry.counter_family("x", "", ["a", "a"]).unwrap_err();
        assert!(matches!(twice, RegisterError::DuplicateLabel { .. }));
    }

    #[test]
    fn a_sample_name_belongs_to_one_metric() {
        let registry = registry();
        registry.histogram("x", "", Buckets::default()).unwrap();
        let taken = registry.gauge("x_sum", "", GaugeMode::Sum).unwrap_err();
        assert_eq!(taken.to_string(), "`x_sum` would expose `x_sum`, which is a sample of `x`");
        registry.gauge("y_count", "", GaugeMode::Sum).unwrap();
        assert!(matches!(registry.summary("y", "").unwrap_err(), RegisterError::Taken { .. }));
        registry.gauge("z_total", "", GaugeMode::Sum).unwrap();
        assert!(matches!(registry.counter("z", "").unwrap_err(), RegisterError::Taken { .. }));
    }
}
