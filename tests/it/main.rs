//! Whole processes against each other and against their real peers.
//!
//! One binary, so that it is linked once. `tests/run` installs the peers that some of these need.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod directory;
mod examples;
mod exporter;
mod fold;
mod fork;
mod namespaces;
mod python;
mod reload;
mod service;
mod supervisor;
mod week;

/// The worker program of these tests.
const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
