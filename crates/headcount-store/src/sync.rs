//! What threads have and share without a lock: the only place that says where it comes from, so that `tests/models`
//! can put loom's in its place and run threads in every order.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::thread_local;
