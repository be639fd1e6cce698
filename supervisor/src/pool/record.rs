//! What the pool learns from what happens.

use std::time::{Duration, Instant};

use super::{
    Backoff, Event, Exit, Force, Outcome, Pid, Place, Policy, Pool, Process, Seat, Stopping, Told, Upgrade,
};

/// More workers than any machine has use for.
const MAX_WORKERS: u32 = 4096;

impl Pool {
    /// Takes note of what happened.
    pub fn record(&mut self, event: Event, now: Instant) {
        match event {
            Event::Started(seat, pid) => {
                let process = Process::new(pid, self.generation, self.next_lane(), now);
                let place = self.place(seat);
                place.process = Some(process);
                place.is_wanted = seat != Seat::Trial;
                if seat == Seat::Trial {
                    self.upgrade = Some(Upgrade::Tried);
                }
            }
            Event::StartFailed(Seat::Trial) => self.upgrade = Some(Upgrade::Refused),
            Event::StartFailed(seat) => {
                let place = self.place(seat);
                place.backoff.fail(now, seat.number());
                place.is_wanted = true;
            }
            Event::Ready(pid) => {
                self.says_ready |= self.is_worker(pid);
                self.record_ready(pid, now);
            }
            Event::Alive(pid) => {
                if let Some(process) = self.process(pid) {
                    process.alive = Some(now);
                }
            }
            Event::Stalled => {
                let workers = self.workers.iter_mut().filter_map(|place| place.process.as_mut());
                workers.for_each(|process| process.alive = Some(now));
            }
            Event::Expired(pid, expiry) => {
                if let Some(process) = self.process(pid) {
                    process.expired.get_or_insert(expiry);
                }
            }
            Event::Presumed(pid) => self.record_ready(pid, now),
            Event::Stopping(pid) => {
                if let Some(process) = self.process(pid) {
                    process.stopping = true;
                }
            }
            Event::Exited(pid, exit) => self.record_exit(pid, exit, now),
            Event::Signalled(pid, force) => self.record_signal(pid, force, now),
            Event::Reload if self.stopping.is_some() => {}
            Event::Reload => match &mut self.reload {
                // What has been started may have seen the change, or not.
                Some(reload) => reload.again = true,
                None => self.begin_reload(),
            },
            Event::ReloadRefused if self.is_stopping() || self.is_reloading() => {}
            Event::ReloadRefused => {
                self.begin_reload();
                self.fail_reload();
            }
            Event::Configured(policy) => self.record_policy(policy),
            Event::ReloadEnded(_) => self.end_reload(),
            Event::Upgrade if self.stopping.is_some() => {}
            Event::Upgrade => {
                self.upgrade.get_or_insert(Upgrade::Asked);
            }
            Event::TakeOverFailed => self.upgrade = Some(Upgrade::Refused),
            Event::UpgradeEnded => self.upgrade = None,
            Event::Scale(more) => self.scale_to(self.target.saturating_add_signed(more)),
            Event::ScaleTo(workers) => self.scale_to(workers),
            Event::Stop => self.record_stop(Outcome::Stopped, now),
        }
    }

    /// How many there are to be changes only if that was changed: what was scaled since stays.
    fn record_policy(&mut self, policy: Policy) {
        let is_new = policy.workers != self.policy.workers;
        // Queues are bound at the start.
        self.policy = Policy { lanes: self.policy.lanes, ..policy };
        if is_new {
            self.scale_to(policy.workers);
        }
    }

    /// The time after which a silent worker is taken for ready; `None` if it is expected to say so.
    pub(super) fn presumed_after(&self) -> Option<Duration> {
        (!self.says_ready).then_some(self.policy.ready_after)
    }

    fn scale_to(&mut self, workers: u32) {
        self.target = workers.clamp(1, MAX_WORKERS);
        self.drop_claims();
    }

    fn place(&mut self, seat: Seat) -> &mut Place {
        match seat {
            Seat::Worker(slot) => {
                let len = self.workers.len().max(slot as usize + 1);
                self.workers.resize(len, Place::default());
                &mut self.workers[slot as usize]
            }
            Seat::Exporter => self.exporter.get_or_insert_default(),
            Seat::Trial => &mut self.trial,
        }
    }

    fn process(&mut self, pid: Pid) -> Option<&mut Process> {
        let places = self.workers.iter_mut().chain(&mut self.exporter).chain([&mut self.trial]);
        places.filter_map(|place| place.process.as_mut()).find(|process| process.pid == pid)
    }

    fn is_worker(&self, pid: Pid) -> bool {
        matches!(self.seat_of(pid), Some(Seat::Worker(_)))
    }

    fn record_ready(&mut self, pid: Pid, now: Instant) {
        self.ever_ready |= self.is_worker(pid);
        if let Some(process) = self.process(pid) {
            process.ready.get_or_insert(now);
        }
    }

    fn record_signal(&mut self, pid: Pid, force: Force, now: Instant) {
        let hurried = self.stopping.is_some_and(|stopping| stopping.hurried);
        let Some(seat) = self.seat_of(pid) else { return };
        let retires = matches!(seat, Seat::Worker(_)) && self.stopping.is_none() && force == Force::Term;
        let place = self.place(seat);
        place.is_wanted &= !retires;
        if let Some(process) = &mut place.process {
            process.aborted |= force == Force::Abort;
            process.told = Some(match force {
                Force::Term => Told::Term { hurried, at: now },
                Force::Abort => Told::Abort { at: now },
                Force::Kill => Told::Kill,
            });
        }
    }

    fn record_exit(&mut self, pid: Pid, exit: Exit, now: Instant) {
        let Policy { healthy_after, .. } = self.policy;
        let (presumed_after, generation, is_stopping) =
            (self.presumed_after(), self.generation, self.is_stopping());
        let Some(seat) = self.seat_of(pid) else { return };
        let place = self.place(seat);
        let Some(process) = place.process.take() else { return };
        let ready = process.became_ready(presumed_after, now);
        let was_healthy = ready.is_some_and(|at| now.duration_since(at) >= healthy_after);
        let meant_to = is_stopping
            || process.expired.is_some()
            || !place.is_wanted
            || (ready.is_some() && exit == Exit::Code(0));
        if was_healthy || meant_to {
            place.backoff = Backoff::default();
        }
        if !meant_to {
            place.backoff.fail(now, pid.as_raw().unsigned_abs());
        }
        match seat {
            Seat::Worker(_) => {}
            Seat::Exporter => return,
            Seat::Trial => return self.record_trial_exit(exit),
        }
        self.ever_ready |= ready.is_some();
        if self.is_hopeless() {
            self.record_stop(Outcome::NeverReady, now);
        } else if !meant_to && ready.is_none() && process.generation == generation {
            self.fail_reload();
        }
        self.drop_claims();
    }

    fn record_stop(&mut self, outcome: Outcome, now: Instant) {
        let Policy { graceful_timeout, hurry_timeout, .. } = self.policy;
        (self.reload, self.upgrade) = (None, None);
        self.stopping = Some(match self.stopping {
            None => Stopping { outcome, deadline: now + graceful_timeout, hurried: false },
            Some(stopping) => {
                let deadline = stopping.deadline.min(now + hurry_timeout);
                Stopping { deadline, hurried: true, ..stopping }
            }
        });
    }
}
