//! Caches.

use headcount::{OrNoop, Registry};

use crate::call::{Calls, Instrument};
use crate::outcome::Outcome;

/// Counts operations on caches: by what is done, and to which cache. A look-up ends as a hit or a miss. A small handle.
#[derive(Clone, Copy, Debug)]
pub struct Cache(Calls);

impl Cache {
    /// In the default registry.
    #[expect(clippy::new_without_default, reason = "it registers metrics, which is no default")]
    #[must_use]
    pub fn new() -> Self {
        Self::in_registry(Registry::global().or_noop())
    }

    /// In this registry, which may put a prefix or labels on its metrics.
    #[must_use]
    pub fn in_registry(registry: Registry) -> Self {
        Self(Calls::new(
            registry,
            ("cache_operation_duration_seconds", "Seconds that operations of caches take."),
            ("cache_operations_in_flight", "Operations of caches that are going on."),
        ))
    }

    /// Looks something up: a hit if there is something, else a miss.
    ///
    /// ```
    /// use headcount_instruments::Cache;
    ///
    /// let cache = Cache::new();
    /// assert_eq!(cache.look_up("sessions", || Some(7)), Some(7));
    /// assert_eq!(cache.look_up("sessions", || None::<u32>), None);
    /// let labels = "operation=\"get\",target=\"sessions\",outcome=\"miss\"";
    /// assert!(headcount::render().contains(&format!("cache_operation_duration_seconds_count{{{labels}}} 1")));
    /// ```
    pub fn look_up<T>(&self, cache: &str, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let call = self.begin("get", cache);
        let found = work();
        call.end(if found.is_some() { Outcome::Hit } else { Outcome::Miss });
        found
    }
}

impl Instrument for Cache {
    fn calls(&self) -> Calls {
        self.0
    }
}
