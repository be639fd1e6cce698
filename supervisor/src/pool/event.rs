//! Everything that happens to the pool, and everything that is to be done.

use serde::{Deserialize, Serialize};

use super::{Pid, Policy, ReloadOutcome, Seat};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process was forked for a seat.
    Started(Seat, Pid),
    /// No process could be forked for a seat.
    StartFailed(Seat),
    /// A process has said that it serves.
    Ready(Pid),
    /// A process has said that it is alive.
    Alive(Pid),
    /// The supervisor itself was held up, and may have missed who said that it is alive.
    Stalled,
    /// A process has lived or grown enough, and is to be replaced.
    Expired(Pid, Expiry),
    /// A process has lived long enough to be taken for ready.
    Presumed(Pid),
    /// A process has said that it takes nothing new.
    Stopping(Pid),
    /// A process is dead and buried.
    Exited(Pid, Exit),
    /// A signal was sent to a process.
    Signalled(Pid, Force),
    /// A new generation is to take the place of this one.
    Reload,
    /// A new generation was to take the place of this one, but cannot.
    ReloadRefused,
    /// The pool is to be kept in another way from here on.
    Configured(Policy),
    /// A reload has ended, and that was made known.
    ReloadEnded(ReloadOutcome),
    /// The supervisor's own program is to be replaced.
    Upgrade,
    /// A new program that was to take over could not.
    TakeOverFailed,
    /// An upgrade has failed, and that was made known.
    UpgradeEnded,
    /// There are to be so many workers more, or less.
    Scale(i32),
    /// There are to be so many workers.
    ScaleTo(u32),
    /// The pool is to stop: at first with patience, when it comes again with less.
    Stop,
}

/// Why a worker is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Expiry {
    /// It has lived long enough.
    Lifetime,
    /// It has answered enough.
    Requests,
    /// It has more memory than it may have.
    Memory,
    /// Its queue needs it no more, and another has nobody.
    Misplaced,
    /// It is of the program before this one.
    Upgrade,
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork a process for this seat.
    Start(Seat),
    /// Send a signal to a process.
    Signal(Pid, Force),
    /// Make known how a reload has ended.
    EndReload(ReloadOutcome),
    /// Replace this program by the new one, which has been tried.
    TakeOver,
    /// Make known that an upgrade has failed.
    EndUpgrade,
    /// All is over.
    Finish(Outcome),
}

/// How a process is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// `SIGTERM`: finish what was accepted.
    Term,
    /// `SIGABRT`: leave a trace of where it hangs.
    Abort,
    /// `SIGKILL`.
    Kill,
}

/// How the pool has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to.
    Stopped,
    /// No worker has ever been ready.
    NeverReady,
}
