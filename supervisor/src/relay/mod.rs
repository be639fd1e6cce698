//! What workers print, on its way to the supervisor's own standard output and error, each line with its origin.
//!
//! The master must not read what workers write, and nobody may wait for whoever reads the supervisor's output. So
//! each worker has two pipes of its own, and a process of its own, the relay, reads them all. It holds back what
//! there is no room for, up to a limit, and drops what comes then.
//!
//! * `channel`: how a worker's pipes come to the relay.
//! * `line`: what becomes of a line.
//! * `outlet`: where lines wait for room.
//! * `run`: the process.
//!
//! The master keeps the reading ends as long as a worker lives, so that another relay can take the place of one
//! that dies. The pool does not know of it: no worker depends on it, and it is the last that ends.

mod channel;
mod line;
mod outlet;
mod run;

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use serde::{Deserialize, Serialize};

use crate::metrics::reason;
use crate::pool::{Backoff, Exit, Pid};
use crate::process::inherit;
use crate::sink::Sink;
use channel::{Channel, Message};
pub use line::Form;
use line::{Origin, Stream};
use outlet::Outlet;
use run::Source;

/// When something is passed on for which there was no room.
const RETRY: Duration = Duration::from_millis(50);
/// A relay that has lived for so long has its failures forgotten.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How long the relay may take to pass on what is left at the end.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// The master's side.
#[derive(Debug)]
pub(crate) struct Relay {
    form: Form,
    outputs: [Sink; 2],
    taps: Vec<Tap>,
    process: Option<Process>,
    backoff: Backoff,
    /// By when it is to have ended, once it is told to.
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    channel: Channel,
    started: Instant,
    /// Whether it has been told that all is over.
    told: bool,
}

/// What a worker prints, as a whole: standard output and error.
#[derive(Debug)]
struct Tap {
    slot: u32,
    pid: Pid,
    ends: [PipeReader; 2],
    /// Whether the relay that runs has it.
    passed: bool,
    /// Whether the worker is dead.
    dead: bool,
}

/// The pipes of a worker that is about to be forked.
#[derive(Debug)]
pub(crate) struct Pipes {
    readers: [PipeReader; 2],
    writers: [PipeWriter; 2],
}

impl Pipes {
    fn new() -> io::Result<Self> {
        let ((out, out_end), (err, err_end)) = (io::pipe()?, io::pipe()?);
        let readers = [out, err];
        for reader in &readers {
            // Of the reading end alone: programs count on writes that wait.
            fcntl(reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { readers, writers: [out_end, err_end] })
    }

    /// The worker's standard output and error.
    pub(crate) fn writers(&self) -> [BorrowedFd<'_>; 2] {
        self.writers.each_ref().map(AsFd::as_fd)
    }
}

/// What a relay of the next supervisor has to know. The process that runs ends by itself.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RelayState {
    form: Form,
    taps: Vec<TapState>,
}

#[derive(Debug, Deserialize, Serialize)]
struct TapState {
    slot: u32,
    pid: i32,
    ends: [RawFd; 2],
}

impl RelayState {
    /// The descriptors that go with it.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.taps.iter().flat_map(|tap| tap.ends)
    }
}

impl Relay {
    /// A relay that is not there yet.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub(crate) fn new(form: Form) -> io::Result<Self> {
        let outputs = [Sink::of(io::stdout())?, Sink::of(io::stderr())?];
        let backoff = Backoff::default();
        Ok(Self { form, outputs, taps: Vec::new(), process: None, backoff, deadline: None })
    }

    /// The relay of the supervisor before this one, with the same workers. It is not there yet.
    ///
    /// # Errors
    ///
    /// When a descriptor is not there.
    pub(crate) fn take_over(state: RelayState) -> io::Result<Self> {
        let mut relay = Self::new(state.form)?;
        for TapState { slot, pid, ends: [out, err] } in state.taps {
            let ends = [inherit(out)?.into(), inherit(err)?.into()];
            relay.taps.push(Tap { slot, pid: Pid::from_raw(pid), ends, passed: false, dead: false });
        }
        Ok(relay)
    }

    /// What the next supervisor has to know of it.
    pub(crate) fn state(&self) -> RelayState {
        let tap = |tap: &Tap| TapState {
            slot: tap.slot,
            pid: tap.pid.as_raw(),
            ends: tap.ends.each_ref().map(AsRawFd::as_raw_fd),
        };
        RelayState { form: self.form, taps: self.taps.iter().map(tap).collect() }
    }

    /// Pipes for a worker that is about to be forked.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub(crate) fn pipes(&self) -> io::Result<Pipes> {
        Pipes::new()
    }

    /// Listens to a worker that has been forked.
    pub(crate) fn listen(&mut self, slot: u32, pid: Pid, pipes: Pipes) {
        self.taps.push(Tap { slot, pid, ends: pipes.readers, passed: false, dead: false });
    }

    /// Starts the relay's process if it is to run and does not, by `fork`; passes on what it does not have yet;
    /// kills it if it does not end.
    pub(crate) fn attend(&mut self, now: Instant, fork: impl FnOnce(&dyn Fn() -> i32) -> io::Result<Pid>) {
        if self.deadline.is_some_and(|at| at <= now)
            && let Some(process) = &self.process
        {
            let _ = kill(process.pid, Signal::SIGKILL);
            return;
        }
        if self.process.is_none()
            && self.deadline.is_none()
            && self.backoff.until().is_none_or(|at| at <= now)
        {
            self.start(now, fork);
        }
        let Some(process) = &mut self.process else { return };
        for tap in self.taps.iter_mut().filter(|tap| !tap.passed) {
            // Without room, or a relay that listens, there will be another try.
            tap.passed = process.channel.pass(tap.slot, tap.pid, &tap.ends).unwrap_or(false);
        }
        if self.deadline.is_some() && !process.told {
            process.told = process.channel.end().unwrap_or(false);
        }
        self.forget();
    }

    fn start(&mut self, now: Instant, fork: impl FnOnce(&dyn Fn() -> i32) -> io::Result<Pid>) {
        let started = Channel::pair().and_then(|(channel, relays)| {
            let run = || {
                channel.close_in_child();
                let sources = self.taps.iter().flat_map(Tap::sources).collect();
                let outlets = self.outputs.each_ref().map(Outlet::new);
                run::run(self.form, &relays, sources, outlets)
            };
            let pid = fork(&run)?;
            Ok(Process { pid, channel, started: now, told: false })
        });
        match started {
            Ok(process) => {
                tracing::info!(process = "relay", pid = %process.pid, "started");
                self.taps.iter_mut().for_each(|tap| tap.passed = true);
                self.process = Some(process);
            }
            Err(error) => {
                tracing::error!(process = "relay", %error, "cannot fork");
                self.backoff.fail(now, 0);
            }
        }
    }

    /// When there is something to do even if nothing happens.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let waits = |process: &Process| {
            self.taps.iter().any(|tap| !tap.passed) || (self.deadline.is_some() && !process.told)
        };
        match &self.process {
            Some(process) if waits(process) => Some(now + RETRY),
            Some(_) => self.deadline,
            None => self.backoff.until().filter(|_| self.deadline.is_none()),
        }
    }

    /// Takes note of a child's death. Tells whether it was the relay's.
    pub(crate) fn record_exit(&mut self, pid: Pid, exit: Exit, now: Instant) -> bool {
        for tap in self.taps.iter_mut().filter(|tap| tap.pid == pid) {
            tap.dead = true;
        }
        self.forget();
        let Some(ended) = self.process.take_if(|process| process.pid == pid) else { return false };
        if self.deadline.is_none() {
            tracing::warn!(process = "relay", %pid, reason = reason(exit), "exited");
            if now.duration_since(ended.started) >= HEALTHY_AFTER {
                self.backoff = Backoff::default();
            }
            self.backoff.fail(now, 0);
        }
        self.taps.iter_mut().for_each(|tap| tap.passed = false);
        true
    }

    /// Lets the relay pass on what is left, and end.
    pub(crate) fn end(&mut self, now: Instant) {
        self.deadline.get_or_insert(now + END_TIMEOUT);
    }

    /// Whether its process is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.process.is_none()
    }

    /// What is the master's alone.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(|process| process.channel.as_fd())
    }

    /// What the relay has, and nobody adds to, it has to itself.
    fn forget(&mut self) {
        self.taps.retain(|tap| !(tap.dead && tap.passed));
    }
}

impl Tap {
    /// For a relay that has been forked and has the ends under the same numbers.
    fn sources(&self) -> impl Iterator<Item = Source> {
        let origin = |stream| Origin { slot: self.slot, pid: self.pid, stream };
        let duplicate = move |(end, stream): (&PipeReader, Stream)| {
            // The master's copy, which nobody drops here, does not matter to a reading end.
            end.try_clone().ok().map(|end| Source::new(end.into(), origin(stream)))
        };
        self.ends.iter().zip(Stream::BOTH).filter_map(duplicate)
    }
}
