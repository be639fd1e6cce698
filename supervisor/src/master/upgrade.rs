//! `USR2`: another program, most likely a newer one, takes this one's place.
//!
//! First it is tried: executed as a child, with copies of all that it would get, it says whether it could go
//! on from here. A program that crashes, does not start or does not understand changes nothing. Then this
//! process executes it. Its workers go on meanwhile, and are replaced by a reload afterwards.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Instant;

use nix::sys::signal::Signal;

use super::Master;
use crate::attributes::Attributes;
use crate::chain;
use crate::handover::{Handover, VARIABLE, VERSION};
use crate::pool::{Event, Pid, ReloadOutcome};
use crate::process::{CANNOT_EXECUTE, Program, fork_child};
use crate::relay::Relay;
use crate::sockets::SocketsState;

/// Variables that are not the new program's: it has what they stand for from this one.
const NOT_PASSED: [&str; 4] = [VARIABLE, "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"];

impl Master<'_> {
    /// Forks a process in which the new program says whether it could take over.
    pub(super) fn fork_trial(&self) -> io::Result<Pid> {
        let (words, kept) = self.write_handover(true)?;
        fork_child(&self.children.signal_mask, &Attributes::default(), || {
            let error = execute_own(&words, &kept);
            tracing::error!(error, "cannot execute the new program");
            CANNOT_EXECUTE
        })
    }

    /// Executes the new program in this process. Comes back only if that cannot be.
    pub(super) fn hand_over(&mut self) {
        let error = match self.write_handover(false) {
            Ok((words, kept)) => execute_own(&words, &kept),
            Err(error) => chain(&error),
        };
        tracing::error!(error, "cannot execute the new program");
        self.record(Event::TakeOverFailed);
    }

    pub(super) fn end_upgrade(&mut self) {
        tracing::error!("the upgrade has failed: this supervisor goes on");
        self.metrics.upgraded(ReloadOutcome::Failure);
        self.record(Event::UpgradeEnded);
    }

    fn write_handover(&self, is_trial: bool) -> io::Result<(OwnedFd, Vec<RawFd>)> {
        let children = &self.children;
        let mask = Signal::iterator().filter(|&signal| children.signal_mask.contains(signal));
        let handover = Handover {
            version: VERSION,
            is_trial,
            pool: self.pool.snapshot(Instant::now()),
            sockets: SocketsState::of(&children.sockets, &children.exporter_sockets),
            directory: self.directory.path().to_owned(),
            lock: self.lock.as_fd().as_raw_fd(),
            runtime_dir: self.runtime_dir.path().to_owned(),
            runtime_lock: self.runtime_dir.as_fd().as_raw_fd(),
            notify: self.notify.as_fd().as_raw_fd(),
            signal_mask: mask.map(|signal| signal as i32).collect(),
            relay: self.relay.as_ref().map(Relay::state),
            history: self.metrics.history(),
        };
        let words = handover.write()?;
        let kept = handover.descriptors().chain([words.as_raw_fd()]).collect();
        Ok((words, kept))
    }
}

/// Returns only with what is wrong.
fn execute_own(words: &OwnedFd, kept: &[RawFd]) -> String {
    let inherited = std::env::vars_os().filter(|(name, _)| !NOT_PASSED.iter().any(|own| name == own));
    let told: (OsString, OsString) = (VARIABLE.into(), words.as_raw_fd().to_string().into());
    let environment: Vec<_> = inherited.chain([told]).collect();
    match Program::own() {
        Ok(program) => chain(&program.replace_this(&environment, kept)),
        Err(error) => chain(&error),
    }
}
