//! How the supervisor's own program is replaced: first a trial, a process of its own that shows whether the
//! new program starts and understands what it will be told; then the program itself, in place.

use super::{Action, Exit, Pool, Seat};

/// An upgrade that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// A trial is to be started.
    Asked,
    /// A trial goes on.
    Tried,
    /// The new program may take over.
    Approved,
    /// All goes on as before.
    Refused,
}

impl Pool {
    pub(super) fn record_trial_exit(&mut self, exit: Exit) {
        let verdict = if exit == Exit::Code(0) { Upgrade::Approved } else { Upgrade::Refused };
        self.upgrade = self.upgrade.map(|_| verdict);
    }

    /// The next step of an upgrade. The new program takes over between reloads, not in one.
    pub(super) fn plan_upgrade(&self) -> Option<Action> {
        match self.upgrade? {
            Upgrade::Asked => Some(Action::Start(Seat::Trial)),
            Upgrade::Approved if self.reload.is_none() => Some(Action::TakeOver),
            Upgrade::Refused => Some(Action::EndUpgrade),
            Upgrade::Tried | Upgrade::Approved => None,
        }
    }
}
