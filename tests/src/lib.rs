//! What the integration tests share: real processes, plain sockets, and waiting with a deadline.
//!
//! Nothing here sleeps and hopes: [`wait::until`] polls a condition and panics with its description when
//! the deadline passes. A process is alive or dead by its state in `/proc`, never by `kill -0`.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

pub mod binary;
pub mod certificates;
pub mod exposition;
pub mod fork;
pub mod http;
pub mod native;
pub mod otlp;
pub mod peer_file;
pub mod peers;
pub mod process;
pub mod prometheus;
pub mod supervisor;
pub mod text;
pub mod wait;
