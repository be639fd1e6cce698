//! The files of Python's `prometheus_client` and of Ruby's mmap client, read only.
//!
//! `entries` finds the entries of a file in whichever layout its bytes have; `key` says what an
//! entry is called, and `plain` reads most keys faster. A peer's file says neither its version nor its language, so both are told by
//! looking.

mod entries;
mod key;
mod plain;

pub use entries::{Entry, Layout, PeerFile, read, read_values};
pub use key::{Client, Key};
