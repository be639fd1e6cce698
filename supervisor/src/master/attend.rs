//! What goes on beside the pool: hooks, the relay, and the end of both.

use std::io;
use std::time::Instant;

use super::Master;
use crate::chain;
use crate::hooks::{Moment, Occasion};
use crate::pool::{Outcome, Pid, Seat};
use crate::relay::Relay;

impl Master<'_> {
    pub(super) fn attend_relay(&mut self) {
        let Some(mut relay) = self.relay.take() else { return };
        let own = self.own_descriptors();
        relay.attend(Instant::now(), |run| self.children.fork_relay(&own, run));
        self.relay = Some(relay);
    }

    /// Calls the hooks of what happens to all.
    pub(super) fn call(&mut self, moment: Moment) {
        self.hooks.call(Occasion::of_all(moment, self.pool.generation()));
    }

    /// Calls the hooks of what happens to a worker.
    pub(super) fn call_of(&mut self, moment: Moment, pid: Pid, reason: Option<&'static str>) {
        let Some(Seat::Worker(slot)) = self.pool.seat_of(pid) else { return };
        let generation = self.pool.generation_of(pid).unwrap_or_default();
        self.hooks.call(Occasion { moment, slot: Some(slot), pid: Some(pid), generation, reason });
    }

    pub(super) fn notice_readiness(&mut self) {
        if !self.was_ready && !self.pool.is_stopping() && self.pool.census().ready >= self.pool.target() {
            self.was_ready = true;
            self.call(Moment::WhenReady);
        }
    }

    pub(super) fn attend_hooks(&mut self) {
        self.hooks.attend(Instant::now());
        for (moment, outcome) in self.hooks.take_ended() {
            self.metrics.hook_ended(moment, outcome);
        }
    }

    /// Waits for the last hooks, and lets the relay pass on what the last workers have printed.
    pub(super) fn end(&mut self, outcome: Outcome) -> io::Result<()> {
        if outcome == Outcome::NeverReady {
            self.leave_nothing_behind();
        }
        let reason = match outcome {
            Outcome::Stopped => "stopped",
            Outcome::NeverReady => "never_ready",
        };
        let last = Occasion::of_all(Moment::OnExit, self.pool.generation());
        self.hooks.call(Occasion { reason: Some(reason), ..last });
        self.hooks.finish(Instant::now());
        loop {
            if let Some(relay) = &mut self.relay {
                relay.end(Instant::now());
            }
            self.attend_relay();
            self.attend_hooks();
            if self.hooks.is_idle() && self.relay.as_ref().is_none_or(Relay::has_ended) {
                return Ok(());
            }
            self.service_manager.tell(&self.pool, Instant::now());
            self.wait()?;
            self.receive_signals()?;
            self.bury_the_dead()?;
        }
    }

    /// Nothing was ever measured.
    pub(super) fn leave_nothing_behind(&self) {
        if let Err(error) = self.directory.wipe() {
            tracing::warn!(error = %chain(&error), "cannot wipe the metrics directory");
        }
    }
}
