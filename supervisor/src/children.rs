//! What the master's children are: workers, which run the program, and the exporter, which goes on as this one.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use headcount::worker::Worker;
use headcount_merge::{Foreign, Liveness};
use headcount_store::directory::Directory;
use nix::sys::signal::SigSet;
use nix::unistd::{getpid, getppid};

use crate::attributes::{Affinity, Attributes};
use crate::chain;
use crate::exporter::{Push, Scraper, WebOptions, serve_until_told};
use crate::orphans::see_off;
use crate::pool::{Pid, jittered_count};
use crate::process::{CANNOT_EXECUTE, Program, close_in_child, fork_child, redirect_output, set_environment};
use crate::sockets::{Listener, WorkerSockets};

/// What workers do.
pub enum Work<'a> {
    /// Execute a program.
    Execute(Program),
    /// Go on as this one: call this, and end with the status that it gives.
    Call(Box<dyn Fn(Worker) -> i32 + 'a>),
}

/// All that children are given.
#[derive(Debug)]
pub(crate) struct Children<'a> {
    pub(crate) work: Work<'a>,
    /// What all workers find in their environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) sockets: WorkerSockets,
    pub(crate) exporter_sockets: Vec<Listener>,
    /// How the exporter serves.
    pub(crate) web: WebOptions,
    /// How many requests a worker may answer.
    pub(crate) max_requests: Option<u64>,
    /// What workers are, each but for its processor.
    pub(crate) attributes: Attributes,
    pub(crate) affinity: Affinity,
    /// What the exporter does with Python's and Ruby's files when their processes are dead.
    pub(crate) foreign: Foreign,
    /// What tells the exporter that one of these is dead.
    pub(crate) liveness: Liveness,
    /// Where the exporter pushes metrics to.
    pub(crate) push: Push,
    /// The signals that were blocked when the master was started.
    pub(crate) signal_mask: SigSet,
}

/// A worker that is to be forked.
#[derive(Debug)]
pub(crate) struct WorkerPlace<'a> {
    pub(crate) slot: u32,
    /// Whose sockets it gets.
    pub(crate) lane: u32,
    pub(crate) generation: u64,
    /// Its standard output and error, unless it has the master's.
    pub(crate) outputs: Option<[BorrowedFd<'a>; 2]>,
}

impl Children<'_> {
    /// `masters` are descriptors that are the master's alone. The lane must have been opened.
    pub(crate) fn fork_worker(&self, place: &WorkerPlace<'_>, masters: &[BorrowedFd<'_>]) -> io::Result<Pid> {
        let &WorkerPlace { slot, generation, .. } = place;
        let processor = self.affinity.processor(slot);
        let attributes = Attributes { processor, ..self.attributes.clone() };
        fork_child(&self.signal_mask, &attributes, || {
            let mut environment = self.environment.clone();
            environment.push(("HEADCOUNT_SLOT".into(), slot.to_string().into()));
            environment.push(("HEADCOUNT_GENERATION".into(), generation.to_string().into()));
            if let Some(count) = self.max_requests {
                let count = jittered_count(count, getpid().as_raw().unsigned_abs());
                environment.push(("HEADCOUNT_MAX_REQUESTS".into(), count.to_string().into()));
            }
            // Whom the others are meant for: to the worker's own children they are to mean nothing.
            for (what, whom) in [("LISTEN_FDS", "LISTEN_PID"), ("WATCHDOG_USEC", "WATCHDOG_PID")] {
                if self.environment.iter().any(|(name, _)| name == what) {
                    environment.push((whom.into(), getpid().to_string().into()));
                }
            }
            match &self.work {
                Work::Execute(program) => {
                    let sockets: Vec<_> = self.sockets.of_lane(place.lane).map(AsFd::as_fd).collect();
                    let error = program.execute(&environment, place.outputs, &sockets);
                    tracing::error!(program = %program.path().display(), error = %chain(&error), "cannot execute");
                    CANNOT_EXECUTE
                }
                Work::Call(call) => match self.become_worker(&environment, place, masters) {
                    Ok(worker) => call(worker),
                    Err(error) => {
                        tracing::error!(error = %chain(&error), "cannot become a worker");
                        CANNOT_EXECUTE
                    }
                },
            }
        })
    }

    /// What an executed program finds, for a child that goes on as this one.
    fn become_worker(
        &self,
        environment: &[(OsString, OsString)],
        place: &WorkerPlace<'_>,
        masters: &[BorrowedFd<'_>],
    ) -> io::Result<Worker> {
        redirect_output(place.outputs)?;
        // The sockets are given to the worker itself. By number they would stand where others stand.
        let passed = environment.iter().filter(|(name, _)| !name.to_string_lossy().starts_with("LISTEN_"));
        set_environment(passed).map_err(io::Error::other)?;
        let copy = |socket: &Listener| Ok((socket.name.clone(), socket.duplicate()?));
        let sockets = self.sockets.of_lane(place.lane).map(copy).collect::<io::Result<Vec<_>>>()?;
        self.let_go(&self.exporter_sockets, masters);
        Worker::forked(sockets)
    }

    /// `masters` are descriptors that are the master's alone.
    ///
    /// When the master dies, workers that do not stop within `patience` are killed, which it tells by their
    /// `notify` socket.
    pub(crate) fn fork_exporter(
        &self,
        directory: &Path,
        (notify, patience): (&Path, Duration),
        masters: &[BorrowedFd<'_>],
    ) -> io::Result<Pid> {
        let master = getpid();
        fork_child(&self.signal_mask, &self.own_attributes(), || {
            let _ = nix::sys::prctl::set_name(c"headcount-exp");
            // Nor must it keep the workers' ports when the master dies.
            self.let_go(&[], masters);
            let opened = Directory::open(directory);
            let served = match opened {
                Ok(directory) => {
                    let scraper = Scraper::for_owner(directory, self.foreign).judging_by(self.liveness);
                    serve_until_told(&self.exporter_sockets, scraper, &self.web, None, self.push.clone())
                        .map_err(|error| chain(&error))
                }
                Err(error) => Err(chain(&error)),
            };
            if let Err(error) = served {
                tracing::error!(error, "the exporter cannot serve");
                return 1;
            }
            if getppid() != master {
                close_in_child(self.exporter_sockets.iter().map(AsFd::as_fd));
                see_off(notify, patience);
            }
            0
        })
    }

    /// A process that goes on as this one, for workers' output: it runs until it is told to end, and no signal
    /// that it can help tells it. `masters` are descriptors that are the master's alone.
    pub(crate) fn fork_relay(
        &self,
        masters: &[BorrowedFd<'_>],
        run: impl FnOnce() -> i32,
    ) -> io::Result<Pid> {
        fork_child(&SigSet::all(), &self.own_attributes(), || {
            let _ = nix::sys::prctl::set_name(c"headcount-log");
            self.let_go(&self.exporter_sockets, masters);
            run()
        })
    }

    /// For a child that executes nothing: closes the workers' sockets, others, and what is the master's.
    fn let_go(&self, others: &[Listener], masters: &[BorrowedFd<'_>]) {
        let other = others.iter().map(AsFd::as_fd);
        close_in_child(self.sockets.descriptors().chain(other).chain(masters.iter().copied()));
    }

    /// What processes of our own are: as little as workers, and nothing else that is meant for these.
    fn own_attributes(&self) -> Attributes {
        let Attributes { identity, no_new_privs, .. } = self.attributes.clone();
        Attributes { identity, no_new_privs, ..Attributes::default() }
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execute(program) => f.debug_tuple("Execute").field(program).finish(),
            Self::Call(_) => f.write_str("Call(..)"),
        }
    }
}
