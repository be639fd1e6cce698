//! What the master waits for: signals, notifications, deaths and deadlines.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::getpgid;

use super::Master;
use crate::chain;
use crate::hooks::Moment;
use crate::memory::MemoryWatch;
use crate::metrics::{name, reason};
use crate::pool::{Event, Exit, Expiry, Pid, Seat};
use crate::process::{SI_QUEUE, catches, next_dead_child, reap};

/// Whoever wakes up so much too late was stopped, or swapped out.
const STALL: Duration = Duration::from_millis(500);

impl Master<'_> {
    /// Waits until something happens or is due.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        let looks = self.memory_watch.as_ref().map(MemoryWatch::next);
        let relays = self.relay.as_ref().and_then(|relay| relay.next(Instant::now()));
        let hooks = self.hooks.next();
        let next = [self.pool.next_deadline(), self.service_manager.next(), looks, relays, hooks];
        let next = next.into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        // Rounded up: to wake up early is to wake up twice.
        let timeout = timeout.map(|time| time + Duration::from_millis(1));
        let timeout =
            timeout.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        let mut descriptors = [self.signals.as_fd(), self.notify.as_fd()]
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // As late as it is beyond what was due; while nothing was, it may have slept.
        self.awake = next.map_or_else(Instant::now, |at| at.min(Instant::now()));
        self.notice_stall();
        Ok(())
    }

    /// Workers do not wait for this process to hear them: while it was stopped, wherever that was, it has not.
    pub(super) fn notice_stall(&mut self) {
        if self.awake.elapsed() >= STALL {
            self.record(Event::Stalled);
        }
        self.awake = Instant::now();
    }

    pub(super) fn receive_signals(&mut self) -> io::Result<()> {
        while let Some(received) = self.signals.read_signal()? {
            let signal =
                i32::try_from(received.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            match signal {
                Some(signal @ (Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT)) => {
                    tracing::info!(%signal, "stopping");
                    if self.pool.is_stopping() {
                        self.hooks.hurry(Instant::now());
                    }
                    self.record(Event::Stop);
                    // There is no patience in it.
                    if signal == Signal::SIGQUIT {
                        self.record(Event::Stop);
                    }
                }
                Some(Signal::SIGHUP) => {
                    self.reload();
                }
                Some(Signal::SIGUSR1) => self.reopen_logs(),
                Some(Signal::SIGUSR2) => {
                    tracing::info!("upgrading");
                    self.record(Event::Upgrade);
                }
                // One that was queued says how many there are to be.
                Some(Signal::SIGTTIN) if received.ssi_code == SI_QUEUE => {
                    self.scale(Event::ScaleTo(received.ssi_int.unsigned_abs()));
                }
                Some(Signal::SIGTTIN) => self.scale(Event::Scale(1)),
                Some(Signal::SIGTTOU) => self.scale(Event::Scale(-1)),
                // The children are looked after in any case.
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn scale(&mut self, event: Event) {
        self.record(event);
        tracing::info!(workers = self.pool.target(), "scaling");
    }

    /// The supervisor's own log is standard error, which has no name to be opened again. Workers that know
    /// the signal are told; of those that do not, it would be the end.
    pub(super) fn reopen_logs(&self) {
        let told = self.pool.workers().filter(|&pid| catches(pid, Signal::SIGUSR1));
        let count = told.filter(|&pid| kill(pid, Signal::SIGUSR1).is_ok()).count();
        tracing::info!(workers = count, "told workers to open their logs again");
    }

    pub(super) fn receive_notifications(&mut self) -> io::Result<()> {
        while let Some(notification) = self.notify.receive()? {
            // A worker may be a shell that runs the server: what its process group says, it says.
            let sender = notification.sender;
            let leader = getpgid(Some(sender)).ok();
            let known =
                [Some(sender), leader].into_iter().flatten().find(|&pid| self.pool.seat_of(pid).is_some());
            let Some(pid) = known else {
                tracing::debug!(%sender, "a notification from no worker");
                continue;
            };
            if notification.ready {
                self.record(Event::Ready(pid));
            }
            if notification.alive {
                self.record(Event::Alive(pid));
            }
            if notification.expired {
                self.record(Event::Expired(pid, Expiry::Requests));
            }
            if notification.stopping {
                self.record(Event::Stopping(pid));
            }
        }
        Ok(())
    }

    /// For each dead child: first its files leave its PID's names, then the PID is given back.
    pub(super) fn bury_the_dead(&mut self) -> io::Result<()> {
        while let Some((pid, exit)) = next_dead_child()? {
            if let Err(error) = self.directory.bury(pid.as_raw().unsigned_abs()) {
                tracing::error!(%pid, error = %chain(&error), "cannot bury a dead process's files");
            }
            reap(pid)?;
            if self.relay.as_mut().is_some_and(|relay| relay.record_exit(pid, exit, Instant::now())) {
                continue;
            }
            if self.hooks.record_exit(pid, exit) {
                continue;
            }
            let Some(seat) = self.pool.seat_of(pid) else {
                // As process 1 of a container, the master is the parent of whatever lost its own.
                tracing::debug!(%pid, "reaped an orphan");
                continue;
            };
            log_exit(seat, pid, exit, self.pool.is_stopping());
            let cause = self.pool.cause_of_end(pid, Instant::now());
            self.metrics.exited(seat, exit, cause);
            if self.pool.was_to_go_on(pid) {
                self.metrics.lost(seat);
            }
            self.call_of(Moment::WorkerExit, pid, Some(cause.map_or_else(|| reason(exit), name)));
            self.record(Event::Exited(pid, exit));
        }
        Ok(())
    }

    pub(super) fn look_at_memory(&mut self) {
        let Some(watch) = &mut self.memory_watch else { return };
        for (pid, bytes) in watch.look(self.pool.serving(), Instant::now()) {
            tracing::warn!(%pid, bytes, "has more memory than it may");
            self.record(Event::Expired(pid, Expiry::Memory));
        }
    }
}

fn log_exit(seat: Seat, pid: Pid, exit: Exit, expected: bool) {
    match exit {
        Exit::Code(code) if expected || code == 0 => tracing::info!(process = %seat, %pid, code, "exited"),
        Exit::Code(code) => tracing::warn!(process = %seat, %pid, code, "exited"),
        Exit::Signal(_) if expected => {
            tracing::info!(process = %seat, %pid, signal = reason(exit), "was killed")
        }
        Exit::Signal(_) => tracing::warn!(process = %seat, %pid, signal = reason(exit), "was killed"),
    }
}
