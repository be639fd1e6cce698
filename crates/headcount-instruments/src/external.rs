//! Calls to other services.

use headcount::{OrNoop, Registry};

use crate::call::{Calls, Instrument};

/// Counts calls to other services: by what is asked, and of which service. A small handle.
#[derive(Clone, Copy, Debug)]
pub struct External(Calls);

impl External {
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
            ("external_call_duration_seconds", "Seconds that calls to other services take."),
            ("external_calls_in_flight", "Calls to other services that are going on."),
        ))
    }
}

impl Instrument for External {
    fn calls(&self) -> Calls {
        self.0
    }
}
