//! The files of Python's `prometheus_client` and of Ruby's mmap client, read only.
//!
//! `words` are what a file is made of, copied or mapped. `entries` finds the entries of a file in whichever layout they
//! have; `key` says what an entry is called, and `plain` reads most keys faster. A peer's file says neither its version
//! nor its language, so both are told by looking.

mod entries;
mod key;
mod plain;
mod words;

pub use entries::{Entry, Layout, PeerFile, Place, START, read, used};
pub use key::{Client, Key};
pub use words::{Shared, Words};
