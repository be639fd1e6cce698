//! Ready-made metrics of what a server does besides answering: databases, caches, calls to others, queues, and tasks in
//! the background.
//!
//! Each is a small struct, made once and copied at will. All of them count *calls*: an operation on a target, with an
//! outcome and a duration, and how many are going on. So one dashboard serves all services.
//!
//! ```
//! use headcount_instruments::{Database, Instrument};
//!
//! fn find(id: u32) -> Result<String, std::io::Error> {
//!     Ok(format!("user {id}"))
//! }
//!
//! let database = Database::new();
//! database.run("select", "users", || find(7))?;
//! let text = headcount::render();
//! let labels = "{operation=\"select\",target=\"users\",outcome=\"success\"}";
//! assert!(text.contains(&format!("db_operation_duration_seconds_count{labels} 1")));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! | Struct | Histogram | Gauge | Besides |
//! |---|---|---|---|
//! | [`Database`] | `db_operation_duration_seconds` | `db_operations_in_flight` | |
//! | [`Cache`] | `cache_operation_duration_seconds` | `cache_operations_in_flight` | outcomes `hit` and `miss` |
//! | [`External`] | `external_call_duration_seconds` | `external_calls_in_flight` | |
//! | [`Queue`] | `queue_operation_duration_seconds` | `queue_operations_in_flight` | `queue_wait_seconds`, `queue_depth` |
//! | [`Tasks`] | `task_duration_seconds` | `tasks_in_flight` | `task_last_success_timestamp_seconds` |
//!
//! The histograms have the labels `operation`, `target` and `outcome`, the gauges `target`; tasks have `task` in the place of
//! both. Gauges are merged by `livesum`. Each metric has at most [`LIMIT`] series in a process, and one more for the rest:
//! targets should be names of tables, hosts and queues, and not keys.
//!
//! Read the modules in this order: `outcome`; `call`, which every struct is made of; and the structs.
#![forbid(unsafe_code)]

mod cache;
mod call;
mod database;
mod external;
mod outcome;
mod queue;
mod tasks;

pub use cache::Cache;
pub use call::{Call, Calls, Instrument, LIMIT, Watched};
pub use database::Database;
pub use external::External;
pub use outcome::Outcome;
pub use queue::Queue;
pub use tasks::Tasks;
