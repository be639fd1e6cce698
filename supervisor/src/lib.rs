//! Runs N copies of a server behind one port, and lets Prometheus scrape them as one process.
//!
//! Three kinds of process: the [`master`] forks and waits, has one thread, and reads nothing that workers
//! write; the [`exporter`] serves the merged metrics; a worker is any program. Read from left to right:
//!
//! * [`sink`], [`log`]: lines that hold nobody up.
//! * [`address`], [`sockets`]: where to listen.
//! * [`pool`]: what is to be done, decided without doing it.
//! * [`identity`], [`limits`], [`attributes`]: what a child is before it runs anything.
//! * [`process`], [`notify`], [`runtime_dir`], [`pid_file`]: the system calls under the master.
//! * `slot_metrics`, [`metrics`]: what the supervisor shows and counts of itself.
//! * `memory`, [`usage`], [`view`]: workers, as `/proc` and the merge of these metrics tell of them.
//! * `handover`: what a supervisor leaves to the one that takes its place.
//! * [`exporter`]: the process that serves `/metrics`.
//! * `systemd`: what the master tells whoever has started it.
//! * [`relay`]: what workers print, on its way out.
//! * [`hooks`]: what others want done when something happens.
//! * `orphans`: workers whose master was killed.
//! * [`environment`], [`children`]: what workers find, and how they and the exporter begin.
//! * [`master`]: the loop that performs what the pool decides.
//! * [`owner`]: a supervisor that runs, as others find it.
//! * [`cli`], [`config`], [`options`], [`command`]: the command line, and what else says what it would.
//! * [`prefork`]: the same for an application that is its own supervisor.

pub mod address;
pub mod attributes;
pub mod children;
pub mod cli;
pub mod command;
pub mod config;
pub mod environment;
pub mod exporter;
mod handover;
pub mod hooks;
pub mod identity;
pub mod limits;
pub mod log;
pub mod master;
mod memory;
pub mod metrics;
pub mod notify;
pub mod options;
mod orphans;
pub mod owner;
pub mod pid_file;
pub mod pool;
pub mod prefork;
pub mod process;
pub mod relay;
pub mod runtime_dir;
pub mod sink;
mod slot_metrics;
pub mod sockets;
mod systemd;
pub mod usage;
pub mod view;

use std::error::Error;

/// An error with all its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let said = source.to_string();
        // Some errors repeat their cause.
        if !line.ends_with(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = source.source();
    }
    line
}
