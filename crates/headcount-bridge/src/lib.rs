//! Brings what a program counts with other clients into Headcount's files, so that it counts over all processes
//! without a line of it being changed.
//!
//! * The facade `metrics`: `Recorder::install` is one call, and every `counter!`, `gauge!` and `histogram!` of the
//!   program and of its libraries counts in cells of ours, at once.
//! * The crates `prometheus` and `prometheus-client`: a [`Publisher`] copies what their registries hold, now and
//!   then and at the end. What it copies is at most one interval old; what happened since the last copy is lost with a
//!   process that is killed. A series that its registry no longer holds is removed.
//! * `watch_runtime` and [`watch_process`]: what Tokio and the kernel know of this process.
//!
//! Each client is a feature of this crate, called as the client is; none is on by default.
//!
//! ```
//! # #[cfg(feature = "metrics")] {
//! use headcount_bridge::{Matcher, Recorder};
//!
//! Recorder::builder()
//!     .buckets_for(Matcher::suffix("_bytes"), headcount::Buckets::exponential(64.0, 4.0, 8)?)
//!     .install()?;
//! metrics::counter!("jobs_done", "kind" => "mail").increment(2);
//! assert!(headcount::render().contains("jobs_done_total{kind=\"mail\"} 2"));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read the modules in this order: `matcher`, which metrics a rule is for; `spelling`, what names become; `families`,
//! metrics of ours by names that come at run time; `cache`, `handle` and `recorder`, for `metrics`; `exposed`, what a
//! registry holds, read from `prometheus` by `protocol` and from `prometheus-client` by `openmetrics`; `copied`, what
//! a series adds to what was copied of it before, `copier`, which there are, and `publisher`, when; `total`, `runtime` and `process`, for what is watched.
#![forbid(unsafe_code)]

#[cfg(feature = "metrics")]
mod cache;
mod copied;
mod copier;
mod exposed;
mod families;
#[cfg(feature = "metrics")]
mod handle;
mod matcher;
#[cfg(feature = "prometheus-client")]
mod openmetrics;
mod process;
#[cfg(feature = "prometheus")]
mod protocol;
mod publisher;
#[cfg(feature = "metrics")]
mod recorder;
#[cfg(feature = "tokio")]
mod runtime;
mod spelling;
mod total;

pub use exposed::{Exposed, Kind, Sample, Value};
pub use matcher::Matcher;
pub use process::watch_process;
pub use publisher::{Builder as PublisherBuilder, Publisher};
#[cfg(feature = "metrics")]
pub use recorder::{Builder as RecorderBuilder, InstallError, Recorder};
#[cfg(feature = "tokio")]
pub use runtime::watch_runtime;
