//! What threads share without a lock: the only place that says where it comes from, so that `tests/models` can put
//! loom's in its place and run threads in every order.

pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How long a table's first run of entries is. Models have it so short that a table grows with its second entry.
pub(crate) const FIRST: usize = 16;
