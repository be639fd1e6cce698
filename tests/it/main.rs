//! Whole processes against each other and against their real peers.
//!
//! One binary, so that it is linked once. `tests/run` installs the peers that some of these need.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod any_directory;
#[path = "../../crates/headcount-merge/tests/all/any_file.rs"]
mod any_file;
mod applications;
mod boot;
mod bridge;
mod container;
mod deploy;
mod directory;
mod documents;
mod endpoint;
mod environment;
mod examples;
mod exemplars;
mod exporter;
mod fold;
mod fork;
mod formats;
mod hooks;
mod http;
mod inspect;
mod lanes;
mod liveness;
mod lives;
mod logs;
mod look;
mod namespaces;
mod native;
mod operate;
mod otlp;
mod plugin;
mod presets;
mod push;
mod python;
mod reload;
mod scrapers;
mod service;
mod shapes;
mod sockets;
mod stop;
mod supervisor;
mod upgrade;
mod web;
mod web_config;
mod week;

/// The worker program of these tests.
const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
