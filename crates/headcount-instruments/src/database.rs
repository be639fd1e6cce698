//! Databases.

use headcount::{OrNoop, Registry};

use crate::call::{Calls, Instrument};

/// Counts operations on a database: by what is done, and to which table or collection. A small handle.
#[derive(Clone, Copy, Debug)]
pub struct Database(Calls);

impl Database {
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
            ("db_operation_duration_seconds", "Seconds that operations of databases take."),
            ("db_operations_in_flight", "Operations of databases that are going on."),
        ))
    }
}

impl Instrument for Database {
    fn calls(&self) -> Calls {
        self.0
    }
}
