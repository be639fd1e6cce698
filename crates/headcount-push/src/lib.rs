//! Brings expositions to where they are waited for, from hosts that nobody can scrape.
//!
//! Nothing here knows how metrics are merged, or when they are to be pushed: it takes bytes. For the process that
//! has a runtime, never for the one that forks.
//!
//! * [`url`]: where to push.
//! * [`group`]: under which labels a Pushgateway keeps what it was given.
//! * [`header`]: what else a receiver is told, and [`credentials`]: who is believed to be it, and how it knows who pushes.
//! * `request`: one request, and whether it was taken.
//! * [`gateway`]: a Pushgateway.
//! * [`otlp`]: a receiver of the OpenTelemetry protocol, and [`queue`]: what waits for it.
#![forbid(unsafe_code)]

pub mod credentials;
pub mod gateway;
pub mod group;
pub mod header;
pub mod otlp;
pub mod queue;
mod request;
pub mod url;

pub use credentials::{ClientFiles, Credentials, CredentialsError};
pub use gateway::Gateway;
pub use group::{Group, Label};
pub use header::Header;
pub use otlp::Receiver;
pub use queue::Queue;
pub use request::PushError;
pub use url::Url;
