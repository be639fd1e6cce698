//! Prometheus metrics for servers that run in several processes.
//!
//! What a process counts lives in a memory-mapped file of its own in `PROMETHEUS_MULTIPROC_DIR`: an
//! increment is an ordinary memory write, and what was counted survives the process, by whatever signal
//! it dies. `headcount run -- ./server` starts the processes and serves one merged `/metrics`.
//!
//! ```
//! use std::sync::LazyLock;
//! use headcount::{Counter, Family};
//!
//! static REQUESTS: LazyLock<Family<Counter, 2>> = LazyLock::new(|| {
//!     Counter::family("http_requests", "Requests answered.", ["method", "code"]).unwrap()
//! });
//!
//! REQUESTS.with(["GET", "200"]).inc();
//! assert!(headcount::render().contains("http_requests_total{method=\"GET\",code=\"200\"} 1"));
//! ```
//!
//! Without that variable the metrics live in private memory, and [`render()`] shows them: the program
//! runs unchanged in development. With it, [`render()`] shows this process's own; the merge over all
//! processes is the supervisor's, or `headcount_merge`'s.
//!
//! Read the modules in this order: [`mod@error`]; [`buckets`]; [`registry`], which owns the file,
//! `definition`, what a name in it stands for; [`labels`], and `table`, in which children are found by them; [`family`] and [`labelled`], which have children; the four kinds, [`counter`], [`gauge`],
//! `search` and [`histogram`], [`summary`], and [`local`], to count with in a loop; [`mod@render`]; [`notify`]; and [`worker`], the worker's side of life
//! under a supervisor.
//!
//! # Forks and threads
//!
//! Metrics made before a `fork` count in the child from its first increment on, from zero and into its
//! own file. Metrics may be updated by any thread at any time, but not in a signal handler.

pub mod buckets;
pub mod counter;
mod definition;
pub mod error;
pub mod family;
pub mod gauge;
pub mod histogram;
pub mod labelled;
pub mod labels;
pub mod local;
pub mod notify;
pub mod registry;
pub mod render;
mod search;
pub mod summary;
mod table;
pub mod worker;

pub use buckets::Buckets;
pub use counter::{Counter, FloatCounter};
pub use error::RegisterError;
pub use family::Family;
pub use gauge::Gauge;
pub use headcount_store::metric::GaugeMode;
pub use histogram::{Histogram, Timer};
pub use labelled::Labelled;
pub use local::{LocalCounter, LocalHistogram};
pub use registry::{Registry, use_directory};
pub use render::render;
pub use summary::Summary;
