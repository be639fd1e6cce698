//! The exporter: the process that serves `/metrics`.
//!
//! `scrape` makes the answer, with what `processes` use, and `rounds` one for all who ask at the same time, in a `coding`
//! such as `gzip` (by `deflate`) or `zstd` if they like, with a `body` that is the same for all.
//! `options` says how to serve, `negotiate` and `query` understand what is asked for, `respond` answers that with
//! metrics or a `page`, `converse` brings it to one client, over HTTP/2 in several `streams`, as far as the `patience`
//! with clients goes, and `serve` to all; `push` to where nobody asks, and `textfile` to those who read files. `tidy`
//! folds the files of dead processes in between. It runs in a process of its own, so that nothing that a worker
//! writes, and nothing that a client sends, can stop the master.

mod body;
mod coding;
mod converse;
#[cfg(test)]
mod counted;
mod deflate;
mod gzip;
mod negotiate;
mod options;
mod page;
mod patience;
mod processes;
mod push;
mod query;
mod respond;
mod rounds;
mod scrape;
mod serve;
mod streams;
mod textfile;
mod tidy;
mod web;
mod zstd;

pub use options::{TelemetryPath, TelemetryPathError, WebOptions};
pub use push::{AfterPush, GatewayPush, OtlpPush, Push};
pub use scrape::Scraper;
pub use serve::{ServeError, serve_until_told};
pub use textfile::{Textfile, write_at_once};
pub use web::{WebConfigError, check_web_config};
