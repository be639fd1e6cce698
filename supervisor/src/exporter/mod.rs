//! The exporter: the process that serves `/metrics`.
//!
//! `scrape` makes the answer, `negotiate` and `query` understand what is asked for, `respond` answers that,
//! `push` brings it to where nobody asks, `serve` to the socket, and `tidy` folds the files of dead processes in
//! between. It runs in a process of its own, so that nothing that a worker writes, and nothing that a client sends,
//! can stop the master.

mod negotiate;
mod push;
mod query;
mod respond;
mod scrape;
mod serve;
mod tidy;

pub use push::{AfterPush, GatewayPush, OtlpPush, Push};
pub use scrape::Scraper;
pub use serve::{ServeError, serve_until_told};
