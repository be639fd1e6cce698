//! Registries: which metrics there are, and the file they are recorded in.
//!
//! Most programs have the default one and never name it: `Counter::new` and the like use it. It decides
//! where metrics live when the first one is created, by `PROMETHEUS_MULTIPROC_DIR`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use headcount_store::directory::from_environment;
use headcount_store::format::family::Shape;
use headcount_store::metric::GaugeMode;
use headcount_store::process::Origin;
use headcount_store::write::{CreateError, OnFork, Registration, Store};

use crate::buckets::Buckets;
use crate::counter::{Counter, FloatCounter};
use crate::definition::Registered;
use crate::error::RegisterError;
use crate::family::Family;
use crate::gauge::Gauge;
use crate::histogram::{self, Histogram};
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::summary::Summary;
use crate::view::View;

/// A set of metrics with a file of its own. A small handle; what it stands for lives as long as the
/// process.
///
/// ```
/// use headcount::Registry;
///
/// // In memory that nobody else sees, for a test:
/// let registry = Registry::private()?;
/// registry.counter("jobs", "Jobs done.")?.inc();
/// assert!(registry.render().contains("jobs_total 1\n"));
///
/// // Names and labels that are the same for a part of the program:
/// let mail = registry.with_prefix("mail_").with_labels([("zone", "eu")]);
/// mail.counter("sent", "Mails sent.")?.inc();
/// assert!(registry.render().contains("mail_sent_total{zone=\"eu\"} 1\n"));
/// # Ok::<(), headcount::RegisterError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    inner: &'static Inner,
    view: &'static View,
}

#[derive(Debug)]
struct Inner {
    /// `None` if it could not be created: nor can its metrics.
    store: Option<Store>,
    /// Taken only under a [`Registration`], so that a forked child never finds it locked.
    families: Mutex<HashMap<String, Registered>>,
}

static DEFAULT: OnceLock<Registry> = OnceLock::new();

/// The variables by which a supervisor tells a worker its place.
const SLOT: &str = "HEADCOUNT_SLOT";
const GENERATION: &str = "HEADCOUNT_GENERATION";

/// Makes the default registry record in `directory`, whatever the environment says.
///
/// ```
/// let directory = tempfile::tempdir()?;
/// headcount::use_directory(directory.path())?;
/// headcount::Counter::new("jobs", "Jobs done.")?.inc();
/// assert_eq!(std::fs::read_dir(directory.path())?.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    let _ = DEFAULT.set(Registry::new(Some(store)));
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
    fn new(store: Option<Store>) -> Self {
        let inner = Box::leak(Box::new(Inner { store, families: Mutex::default() }));
        Self { inner, view: View::PLAIN }
    }

    /// A registry none of whose metrics can be created.
    pub(crate) fn nowhere() -> Self {
        Self::new(None)
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
        Ok(*DEFAULT.get_or_init(|| Self::new(Some(store))))
    }

    /// A registry that records in a file of its own in `directory`.
    ///
    /// # Errors
    ///
    /// When the directory does not exist or takes no file.
    pub fn in_directory(directory: impl AsRef<Path>) -> Result<Self, RegisterError> {
        Ok(Self::new(Some(create_store(&mut Registration::begin(), directory.as_ref())?)))
    }

    /// As [`in_directory`](Self::in_directory), for a process that forks only to exec: children do not
    /// get files of their own.
    ///
    /// # Errors
    ///
    /// When the directory does not exist or takes no file.
    pub fn of_parent_in(directory: impl AsRef<Path>) -> Result<Self, RegisterError> {
        let store = Registration::begin().create_store(directory.as_ref(), origin(), OnFork::Leave)?;
        Ok(Self::new(Some(store)))
    }

    /// A registry in memory that no other process sees.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn private() -> Result<Self, RegisterError> {
        Ok(Self::new(Some(Registration::begin().create_private_store(OnFork::Follow)?)))
    }

    /// A registry beside this one, in the same file: a name may be there once more, with other labels. An
    /// exposition shows both as one metric. For bridges from clients that allow it; each keeps a little memory for
    /// ever.
    ///
    /// Of the same name, what differs beside the labels is for the caller to keep the same.
    #[must_use]
    pub fn beside(self) -> Self {
        Self { view: self.view, ..Self::new(self.inner.store) }
    }

    pub(crate) fn store(self) -> Option<Store> {
        self.inner.store
    }

    /// Where updates of metrics are counted that could not be created in any registry.
    pub(crate) fn store_of_the_lost() -> Store {
        DEFAULT.get().and_then(|registry| registry.inner.store).unwrap_or_else(Store::nowhere)
    }

    /// To be taken only under a [`Registration`].
    pub(crate) fn families(self) -> MutexGuard<'static, HashMap<String, Registered>> {
        self.inner.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view(self) -> &'static View {
        self.view
    }

    /// The same metrics, with other things put on those that are created from now on.
    pub(crate) fn seen_as(self, view: &'static View) -> Self {
        Self { view, ..self }
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
        self.family(name, help, Shape::Counter, labels)
    }

    /// Counters with labels of a type; see [`Counter::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_counter<L: Labels>(
        self,
        name: &str,
        help: &str,
    ) -> Result<Labelled<Counter, L>, RegisterError> {
        self.labelled(name, help, Shape::Counter)
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
        self.family(name, help, Shape::FloatCounter, labels)
    }

    /// Counters of fractions with labels of a type; see [`FloatCounter::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_float_counter<L: Labels>(
        self,
        name: &str,
        help: &str,
    ) -> Result<Labelled<FloatCounter, L>, RegisterError> {
        self.labelled(name, help, Shape::FloatCounter)
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
        self.family(name, help, Shape::Gauge(mode), labels)
    }

    /// Gauges with labels of a type; see [`Gauge::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_gauge<L: Labels>(
        self,
        name: &str,
        help: &str,
        mode: GaugeMode,
    ) -> Result<Labelled<Gauge, L>, RegisterError> {
        self.labelled(name, help, Shape::Gauge(mode))
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
        self.family(name, help, histogram::shape(&buckets), labels)
    }

    /// Histograms with labels of a type; see [`Histogram::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_histogram<L: Labels>(
        self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Result<Labelled<Histogram, L>, RegisterError> {
        self.labelled(name, help, histogram::shape(&buckets))
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
        self.family(name, help, Shape::Summary, labels)
    }

    /// Summaries with labels of a type; see [`Summary::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_summary<L: Labels>(
        self,
        name: &str,
        help: &str,
    ) -> Result<Labelled<Summary, L>, RegisterError> {
        self.labelled(name, help, Shape::Summary)
    }
}
