//! When a registry is copied: at the start, now and then, and at the end.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headcount::{GaugeMode, OrNoop, Registry, Updater};

use crate::copied::Add;
use crate::copier::Copier;
use crate::exposed::Exposed;
use crate::families::Families;
use crate::matcher::{Matcher, Rules};

/// Copies what a registry of another client holds into this process's file, until it is dropped.
///
/// What a scrape shows is at most one interval old. Keep it in `main`: when it is dropped it copies once more. Of a
/// process that is killed, what it has counted since the last copy is lost.
///
/// A series that the registry no longer holds is [removed](headcount::Family::remove) at the next copy, and is back when
/// the registry has it again: a counter then goes on from where it was, since sums never fall.
///
/// ```
/// # #[cfg(feature = "prometheus")] {
/// use std::time::Duration;
/// use headcount_bridge::Publisher;
///
/// let registry = prometheus::Registry::new();
/// let jobs = prometheus::IntCounter::new("jobs", "Jobs done.")?;
/// registry.register(Box::new(jobs.clone()))?;
///
/// let publisher = Publisher::of_prometheus(registry).every(Duration::from_secs(5)).start()?;
/// jobs.inc_by(3);
/// drop(publisher);
/// assert!(headcount::render().contains("jobs_total 3\n"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher {
    copying: Arc<Mutex<Copying>>,
    updater: Option<Updater>,
    /// A child that is forked has no such thread, and its parent goes on.
    process: u32,
}

/// Makes a publisher.
#[must_use = "nothing is copied before it is started"]
pub struct Builder {
    source: Source,
    registry: Option<Registry>,
    modes: Rules<GaugeMode>,
    wanted: Rules<bool>,
    interval: Duration,
    is_forked: bool,
}

type Source = Box<dyn FnMut() -> Vec<Exposed> + Send>;

struct Copying {
    source: Source,
    copier: Copier,
}

/// How often, unless told otherwise.
const INTERVAL: Duration = Duration::from_secs(5);

impl Publisher {
    /// Begins a publisher of a registry of the crate `prometheus`, such as `prometheus::default_registry().clone()`.
    #[cfg(feature = "prometheus")]
    pub fn of_prometheus(registry: prometheus::Registry) -> Builder {
        Self::of(move || crate::protocol::gather(&registry))
    }

    /// Begins a publisher of a registry of the crate `prometheus-client`. For one behind a lock, see
    /// [`Exposed::of_prometheus_client`].
    #[cfg(feature = "prometheus-client")]
    pub fn of_prometheus_client(registry: Arc<prometheus_client::registry::Registry>) -> Builder {
        Self::of(move || Exposed::of_prometheus_client(&registry))
    }

    /// Begins a publisher of whatever tells what it holds.
    pub fn of(source: impl FnMut() -> Vec<Exposed> + Send + 'static) -> Builder {
        let mut wanted = Rules::new(true);
        wanted.add(Matcher::prefix("process_"), false);
        let modes = Rules::new(GaugeMode::LiveSum);
        let source = Box::new(source);
        Builder { source, registry: None, modes, wanted, interval: INTERVAL, is_forked: false }
    }

    /// Copies now. In a process that was forked from the one where it was started, does nothing.
    pub fn publish(&self) {
        if self.process == std::process::id() {
            publish(&self.copying);
        }
    }
}

impl Exposed {
    /// What a registry of the crate `prometheus-client` holds.
    ///
    /// ```
    /// # #[cfg(feature = "prometheus-client")] {
    /// use std::sync::{Arc, Mutex};
    /// use headcount_bridge::{Exposed, Publisher};
    ///
    /// let registry = Arc::new(Mutex::new(prometheus_client::registry::Registry::default()));
    /// let publisher = Publisher::of(move || match registry.lock() {
    ///     Ok(registry) => Exposed::of_prometheus_client(&registry),
    ///     Err(_) => Vec::new(),
    /// });
    /// # let _ = publisher;
    /// # }
    /// ```
    #[cfg(feature = "prometheus-client")]
    #[must_use]
    pub fn of_prometheus_client(registry: &prometheus_client::registry::Registry) -> Vec<Self> {
        crate::openmetrics::gather(registry)
    }
}

fn publish(copying: &Mutex<Copying>) {
    // What a panic in the source left behind is a copy that was not made.
    let mut copying = copying.lock().unwrap_or_else(PoisonError::into_inner);
    let exposed = (copying.source)();
    copying.copier.copy(&exposed, Add::Yes);
}

impl Builder {
    /// How often the registry is copied: every 5 seconds, unless told otherwise.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How gauges are merged for which there is no rule: instead of by the sum over living processes.
    pub fn gauge_mode(mut self, mode: GaugeMode) -> Self {
        self.modes.default = mode;
        self
    }

    /// How gauges with certain names are merged.
    pub fn gauge_mode_for(mut self, matcher: Matcher, mode: GaugeMode) -> Self {
        self.modes.add(matcher, mode);
        self
    }

    /// Does not copy metrics with certain names. Those that begin with `process_` are not copied anyway: whoever serves
    /// the merge has them of its own process, and a sum of both would be neither's.
    pub fn leave_out(mut self, matcher: Matcher) -> Self {
        self.wanted.add(matcher, false);
        self
    }

    /// Copies into another registry than the default one.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Takes what the registry holds already for the parent's, which has forked this process: to be called where a
    /// worker begins that was forked without exec. Else what was counted before the fork would count twice.
    pub fn after_fork(mut self) -> Self {
        self.is_forked = true;
        self
    }

    /// Copies once before this returns, and then every interval.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(self) -> io::Result<Publisher> {
        let Self { mut source, registry, modes, wanted, interval, is_forked } = self;
        let registry = registry.map_or_else(Registry::global, Ok).or_noop();
        let mut copier = Copier::new(Families::new(registry), modes, wanted);
        if is_forked {
            copier.copy(&source(), Add::No);
        }
        let copying = Arc::new(Mutex::new(Copying { source, copier }));
        let copied = Arc::clone(&copying);
        let updater = Updater::start(interval, move || publish(&copied))?;
        Ok(Publisher { copying, updater: Some(updater), process: std::process::id() })
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let Some(updater) = self.updater.take() else { return };
        if self.process == std::process::id() {
            updater.stop();
            publish(&self.copying);
        } else {
            // Its thread is the parent's: there is nobody to wait for.
            std::mem::forget(updater);
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("process", &self.process).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("interval", &self.interval).finish_non_exhaustive()
    }
}
