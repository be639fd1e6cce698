//! What the master tells whoever has started it, if that is systemd or speaks as it does: `NOTIFY_SOCKET` and
//! `WATCHDOG_USEC` of the master's own environment.
//!
//! The master never waits for it: what there is no room for is said again a little later.

use std::time::{Duration, Instant};

use headcount::notify::Notifier;
use nix::time::{ClockId, clock_gettime};

use crate::chain;
use crate::pool::{Census, Pool};

/// When something is said again for which there was no room.
const RETRY: Duration = Duration::from_millis(200);

/// The service manager, if there is one.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    notifier: Option<Notifier>,
    /// How often it is told that the master is alive.
    beat: Option<Duration>,
    /// When something is to be said even if nothing happens.
    next: Option<Instant>,
    state: State,
    status: String,
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
        let notifier = Notifier::from_environment().unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "cannot tell the service manager anything");
            None
        });
        // Half the time is what systemd advises.
        let asked = sd_notify::watchdog_enabled().filter(|_| notifier.is_some());
        let beat = asked.map(|time| time / 2).filter(|time| !time.is_zero());
        let next = beat.map(|_| Instant::now());
        Self { notifier, beat, next, state: State::Starting, status: String::new() }
    }

    /// When something is to be said, even if nothing happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Says what has changed, and that the master is alive.
    pub(crate) fn tell(&mut self, pool: &Pool, now: Instant) {
        let Some(notifier) = &self.notifier else { return };
        let state = self.state_of(pool);
        let status = status_of(pool);
        let mut lines = String::new();
        if state != self.state {
            lines.push_str(&spelled(state));
        }
        if status != self.status {
            lines.push_str(&format!("STATUS={status}\n"));
        }
        if lines.is_empty() && self.next.is_none_or(|at| at > now) {
            return;
        }
        if self.beat.is_some() {
            lines.push_str("WATCHDOG=1\n");
        }
        match notifier.send(&lines) {
            Ok(true) => {
                (self.state, self.status) = (state, status);
                self.next = self.beat.map(|beat| now + beat);
            }
            Ok(false) => self.next = Some(now + RETRY),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "nobody listens where the service manager should");
                (self.notifier, self.next) = (None, None);
            }
        }
    }

    fn state_of(&self, pool: &Pool) -> State {
        match self.state {
            _ if pool.is_stopping() => State::Stopping,
            _ if pool.is_reloading() => State::Reloading,
            // Not before all are, at first: whoever waits for this service counts on it.
            State::Starting if pool.census().ready < pool.target() => State::Starting,
            _ => State::Ready,
        }
    }
}

fn status_of(pool: &Pool) -> String {
    let Census { starting, ready, stopping } = pool.census();
    format!("{ready} of {} workers ready, {starting} starting, {stopping} stopping", pool.target())
}

fn spelled(state: State) -> String {
    match state {
        State::Starting => String::new(),
        State::Ready => "READY=1\n".to_owned(),
        State::Stopping => "STOPPING=1\n".to_owned(),
        // A manager that sees no later time than this one's takes the reload for an old one.
        State::Reloading => match clock_gettime(ClockId::CLOCK_MONOTONIC) {
            Ok(now) => format!("RELOADING=1\nMONOTONIC_USEC={}\n", Duration::from(now).as_micros()),
            Err(_) => "RELOADING=1\n".to_owned(),
        },
    }
}
