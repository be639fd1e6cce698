//! What the master's children are: workers, which run the program, and the exporter, which goes on as this one.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use headcount_merge::Foreign;
use headcount_store::directory::Directory;
use nix::sys::signal::SigSet;
use nix::unistd::getpid;

use crate::chain;
use crate::exporter::{Scraper, serve_until_told};
use crate::pool::Pid;
use crate::process::{CANNOT_EXECUTE, Program, close_in_child, fork_child};
use crate::sockets::Listener;

/// All that children are given.
#[derive(Debug)]
pub(crate) struct Children {
    pub(crate) program: Program,
    /// What all workers find in their environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) sockets: Vec<Listener>,
    pub(crate) exporter_socket: Option<Listener>,
    /// What the exporter does with Python's and Ruby's files when their processes are dead.
    pub(crate) foreign: Foreign,
    /// The signals that were blocked when the master was started.
    pub(crate) signal_mask: SigSet,
}

impl Children {
    pub(crate) fn fork_worker(&self, slot: u32, generation: u64) -> io::Result<Pid> {
        fork_child(&self.signal_mask, || {
            let mut environment = self.environment.clone();
            environment.push(("HEADCOUNT_SLOT".into(), slot.to_string().into()));
            environment.push(("HEADCOUNT_GENERATION".into(), generation.to_string().into()));
            // Whom the others are meant for: to the worker's own children they are to mean nothing.
            for (what, whom) in [("LISTEN_FDS", "LISTEN_PID"), ("WATCHDOG_USEC", "WATCHDOG_PID")] {
                if self.environment.iter().any(|(name, _)| name == what) {
                    environment.push((whom.into(), getpid().to_string().into()));
                }
            }
            let sockets: Vec<BorrowedFd<'_>> = self.sockets.iter().map(AsFd::as_fd).collect();
            let error = self.program.execute(&environment, &sockets);
            tracing::error!(program = %self.program.path().display(), error = %chain(&error), "cannot execute");
            CANNOT_EXECUTE
        })
    }

    /// `masters` are descriptors that are the master's alone.
    pub(crate) fn fork_exporter(&self, directory: &Path, masters: &[BorrowedFd<'_>]) -> io::Result<Pid> {
        fork_child(&self.signal_mask, || {
            let _ = nix::sys::prctl::set_name(c"headcount-exp");
            // Nor must it keep the workers' ports when the master dies.
            close_in_child(self.sockets.iter().map(AsFd::as_fd).chain(masters.iter().copied()));
            let opened = Directory::open(directory);
            let served = match opened {
                Ok(directory) => {
                    let scraper = Scraper::for_owner(directory, self.foreign);
                    serve_until_told(self.exporter_socket.as_slice(), scraper).map_err(|error| chain(&error))
                }
                Err(error) => Err(chain(&error)),
            };
            if let Err(error) = served {
                tracing::error!(error, "the exporter cannot serve");
                return 1;
            }
            0
        })
    }
}
