//! Prometheus metrics for servers that run in several processes.
//!
//! What a process counts lives in a memory-mapped file of its own in `PROMETHEUS_MULTIPROC_DIR`: an
//! increment is an ordinary memory write, and what was counted survives the process, by whatever signal
//! it dies. `headcount run -- ./server` starts the processes and serves one merged `/metrics`.
//!
//! ```
//! use headcount::{Counter, metric};
//!
//! /// Requests answered.
//! #[metric]
//! fn http_requests(method: &str, code: u16) -> Counter;
//!
//! http_requests("GET", 200).inc();
//! assert!(headcount::render().contains("http_requests_total{method=\"GET\",code=\"200\"} 1"));
//! ```
//!
//! Without that variable the metrics live in private memory, and [`render()`] shows them: the program
//! runs unchanged in development. With it, [`render()`] shows this process's own; the merge over all
//! processes is the supervisor's, or `headcount_merge`'s.
//!
//! Read the modules in this order: [`mod@error`]; [`buckets`]; [`registry`], which owns the file, `definition`, what
//! a name in it stands for, `view`, what it puts on metrics, and `registration`, how they come into it; `series`,
//! where those of a family are created and limited, and [`mod@bytes`], which they take; [`labels`], what they are
//! looked up as, `part`, and `entry`, `table`, `place` and `numbered`, where children are found by that; `children`,
//! how those come and go, `expiry`, when by themselves; [`family`], [`labelled`] and [`dynamic`], which have them;
//! the kinds, `summed` and [`counter`], [`gauge`], [`up_down`], `search` and [`histogram`], [`native_buckets`],
//! `native_table`, `native_series` and [`native`], [`gauge_histogram`], [`summary`], [`info`], [`state_set`];
//! [`exemplar`], which some of them keep, and [`local`], to count with in a loop; [`level`], [`clock`] and
//! [`timing`]; [`updater`]; [`mod@render`]; [`notify`]; and [`worker`], the worker's side of life under a supervisor.
//!
//! # Forks and threads
//!
//! Metrics made before a `fork` count in the child from its first increment on, from zero and into its
//! own file. Metrics may be updated by any thread at any time, but not in a signal handler.

mod addresses;
pub mod buckets;
pub mod bytes;
mod children;
pub mod clock;
pub mod counter;
mod definition;
pub mod dynamic;
mod entry;
pub mod error;
pub mod exemplar;
mod expiry;
pub mod family;
pub mod gauge;
pub mod gauge_histogram;
pub mod histogram;
pub mod info;
pub mod labelled;
pub mod labels;
pub mod level;
pub mod local;
#[doc(hidden)]
pub mod macros;
pub mod native;
pub mod native_buckets;
mod native_local;
mod native_series;
mod native_table;
mod noop;
pub mod notify;
mod numbered;
mod once;
#[cfg(test)]
mod one_label;
mod part;
mod place;
mod registration;
pub mod registry;
pub mod render;
mod search;
mod series;
pub mod state_set;
pub mod summary;
mod summed;
mod sync;
mod table;
pub mod timing;
pub mod up_down;
pub mod updater;
mod view;
#[cfg(test)]
mod wait;
pub mod worker;

pub use buckets::Buckets;
pub use bytes::{BYTES_LIMIT, limit_bytes};
pub use counter::{Counter, FloatCounter};
pub use dynamic::DynamicFamily;
pub use error::RegisterError;
pub use exemplar::{Exemplar, IntoExemplar};
pub use family::Family;
pub use gauge::Gauge;
pub use gauge_histogram::GaugeHistogram;
pub use headcount_derive::{LabelValue, Labels, count_errors, counted, in_flight, metric, timed};
pub use headcount_store::metric::GaugeMode;
pub use histogram::Histogram;
pub use info::Info;
pub use labelled::Labelled;
pub use labels::{LabelValue, Labels, Literal};
pub use level::{InFlight, Level};
pub use local::{LocalCounter, LocalHistogram};
pub use native::NativeHistogram;
pub use native_buckets::NativeBuckets;
pub use native_local::LocalNativeHistogram;
pub use noop::OrNoop;
pub use registry::{Registry, use_directory};
pub use render::render;
pub use series::SERIES_LIMIT;
pub use state_set::StateSet;
pub use summary::Summary;
pub use timing::{Measure, Observe, Timer};
pub use up_down::UpDown;
pub use updater::Updater;

/// The guide's examples.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;
