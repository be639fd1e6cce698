//! What the pool decides, done.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{Signal, kill};

use super::Master;
use crate::chain;
use crate::children::WorkerPlace;
use crate::hooks::{Moment, Occasion};
use crate::pool::{Event, Force, Pid, ReloadOutcome, Seat};
use crate::relay::{Pipes, Relay};

impl Master<'_> {
    pub(super) fn start_process(&mut self, seat: Seat) {
        let started = match seat {
            Seat::Worker(slot) => self.start_worker(slot),
            Seat::Exporter => {
                let workers = (self.notify.path(), self.pool.graceful_timeout());
                self.children.fork_exporter(self.directory.path(), workers, &self.own_descriptors())
            }
            Seat::Trial => self.fork_trial(),
        };
        match started {
            Ok(pid) => {
                tracing::info!(process = %seat, %pid, "started");
                self.metrics.started(seat);
                self.record(Event::Started(seat, pid));
            }
            Err(error) => {
                tracing::error!(process = %seat, error = %chain(&error), "cannot start");
                self.record(Event::StartFailed(seat));
            }
        }
    }

    pub(super) fn start_worker(&mut self, slot: u32) -> io::Result<Pid> {
        let generation = self.pool.generation();
        let about = Occasion { slot: Some(slot), ..Occasion::of_all(Moment::PreFork, generation) };
        self.hooks.call(about);
        let pipes = self.relay.as_ref().map(Relay::pipes).transpose()?;
        let outputs = pipes.as_ref().map(Pipes::writers);
        let lane = self.pool.next_lane();
        self.children.sockets.open_lane(lane).map_err(io::Error::other)?;
        let place = WorkerPlace { slot, lane, generation, outputs };
        let pid = self.children.fork_worker(&place, &self.own_descriptors())?;
        self.hooks.call(Occasion { moment: Moment::PostFork, pid: Some(pid), ..about });
        if let (Some(relay), Some(pipes)) = (&mut self.relay, pipes) {
            relay.listen(slot, pid, pipes);
        }
        Ok(pid)
    }

    /// What children that do not execute anything must let go of: they would keep the directories' locks when
    /// the master dies, and read its signals.
    pub(super) fn own_descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let own = [self.lock.as_fd(), self.runtime_dir.as_fd(), self.signals.as_fd(), self.notify.as_fd()];
        own.into_iter().chain(self.relay.as_ref().and_then(Relay::descriptor)).collect()
    }

    pub(super) fn end_reload(&mut self, outcome: ReloadOutcome) {
        let generation = self.pool.generation();
        match outcome {
            ReloadOutcome::Success => tracing::info!(generation, "reloaded"),
            ReloadOutcome::Failure => {
                tracing::error!(generation, "the reload has failed, the old workers go on");
            }
        }
        self.metrics.reloaded(outcome);
        self.record(Event::ReloadEnded(outcome));
    }

    pub(super) fn signal(&mut self, pid: Pid, force: Force) {
        let signal = match force {
            Force::Term => Signal::SIGTERM,
            Force::Abort => Signal::SIGABRT,
            Force::Kill => Signal::SIGKILL,
        };
        match force {
            Force::Term => {}
            Force::Abort => tracing::warn!(%pid, "has not said in time that it is alive, aborting it"),
            Force::Kill if self.pool.is_told_to_stop(pid) => {
                tracing::warn!(%pid, "did not stop in time, killing it");
            }
            Force::Kill => tracing::warn!(%pid, "was not ready in time, killing it"),
        }
        self.record(Event::Signalled(pid, force));
        // Before it stops, so that it finds all that came to it.
        self.steer();
        // It may be dead already; then it is about to be buried.
        let _ = kill(pid, signal);
        if force == Force::Kill {
            // A shell's children are of its group, and have not heard that it is over.
            let _ = kill(Pid::from_raw(-pid.as_raw()), signal);
        }
    }

    /// Where each worker has a queue of its own, lets new connections go to those who serve. A stop takes all of
    /// them: then everybody keeps what comes.
    pub(super) fn steer(&mut self) {
        if !self.pool.is_stopping() {
            self.children.sockets.steer(|| self.pool.lanes());
        }
    }
}
