//! What the master tells whoever has started it, if that is systemd or speaks as it does: `NOTIFY_SOCKET` and
//! `WATCHDOG_USEC` of the master's own environment.
//!
//! Nothing depends on its being heard: a message that cannot be sent is logged, once.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::pool::{Census, Pool};

/// The service manager, if there is one.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// How often it is told that the master is alive.
    beat: Option<Duration>,
    next_beat: Option<Instant>,
    state: State,
    status: String,
    has_failed: bool,
}

/// What the service manager was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Reloading,
    Stopping,
}

impl ServiceManager {
    pub(crate) fn from_environment() -> Self {
        // Half the time is what systemd advises.
        let beat = sd_notify::watchdog_enabled().map(|time| time / 2).filter(|time| !time.is_zero());
        let next_beat = beat.map(|_| Instant::now());
        Self { beat, next_beat, state: State::Starting, status: String::new(), has_failed: false }
    }

    /// When something is to be said, even if nothing happens.
    pub(crate) fn next_beat(&self) -> Option<Instant> {
        self.next_beat
    }

    /// Says what has changed.
    pub(crate) fn tell(&mut self, pool: &Pool, now: Instant) {
        let Census { starting, ready, stopping } = pool.census();
        let state = match self.state {
            _ if pool.is_stopping() => State::Stopping,
            _ if pool.is_reloading() => State::Reloading,
            // Not before all are, at first: whoever waits for this service counts on it.
            State::Starting if ready < pool.target() => State::Starting,
            _ => State::Ready,
        };
        if state != self.state {
            self.state = state;
            match state {
                State::Starting => {}
                State::Ready => self.say(&[NotifyState::Ready]),
                State::Stopping => self.say(&[NotifyState::Stopping]),
                State::Reloading => match NotifyState::monotonic_usec_now() {
                    Ok(since) => self.say(&[NotifyState::Reloading, since]),
                    Err(_) => self.say(&[NotifyState::Reloading]),
                },
            }
        }
        let status =
            format!("{ready} of {} workers ready, {starting} starting, {stopping} stopping", pool.target());
        if status != self.status {
            self.say(&[NotifyState::Status(&status)]);
            self.status = status;
        }
        if self.next_beat.is_some_and(|at| at <= now) {
            self.say(&[NotifyState::Watchdog]);
            self.next_beat = self.beat.map(|beat| now + beat);
        }
    }

    fn say(&mut self, message: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(message)
            && !std::mem::replace(&mut self.has_failed, true)
        {
            tracing::warn!(%error, "cannot tell the service manager");
        }
    }
}
