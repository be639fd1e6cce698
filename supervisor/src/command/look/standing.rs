//! How a supervisor and its workers stand at one moment.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headcount_merge::Merged;

use super::spell;
use crate::owner::Owner;
use crate::pool::Pid;
use crate::usage::Usage;
use crate::view::{Slot, View};

/// A supervisor and its workers.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) pid: Pid,
    pub(super) directory: PathBuf,
    pub(super) uptime: Option<Duration>,
    pub(super) view: View,
    pub(super) workers: Vec<Worker>,
}

/// A slot, and what its worker has used.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) slot: Slot,
    pub(super) usage: Option<Usage>,
}

/// What a place says of which nothing is known.
pub(super) const UNKNOWN: &str = "-";

impl Standing {
    /// How a supervisor stands now, of whose directory this is a merge.
    pub(super) fn of(owner: &Owner, merged: &Merged<'_>) -> Self {
        let view = View::of(merged);
        let worker = |slot: &Slot| {
            let pid = slot.pid.and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
            Worker { slot: slot.clone(), usage: pid.and_then(Usage::of) }
        };
        Self {
            pid: owner.pid,
            directory: owner.directory.path().to_owned(),
            uptime: Usage::of(owner.pid).map(|usage| usage.uptime),
            workers: view.slots.iter().map(worker).collect(),
            view,
        }
    }

    /// The supervisor, in two lines.
    pub(super) fn headlines(&self) -> [String; 2] {
        let Self { pid, view, .. } = self;
        let uptime = self.uptime.map_or_else(|| UNKNOWN.to_owned(), spell::time);
        let ready = view.in_state("ready");
        let others = ["starting", "stopping", "backing_off"];
        let others = others.map(|state| (state.replace('_', " "), view.in_state(state)));
        let others = others.iter().filter(|(_, count)| *count > 0);
        let others: String = others.map(|(state, count)| format!(", {count} {state}")).collect();
        let generation = view.generation;
        [
            format!(
                "headcount, PID {pid}: up {uptime}, generation {generation}, {ready} of {} workers ready{others}",
                view.wanted
            ),
            format!("last reload: {}", self.last_reload()),
        ]
    }

    fn last_reload(&self) -> String {
        let since = |time: f64| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            spell::time(now.saturating_sub(Duration::try_from_secs_f64(time).unwrap_or_default()))
        };
        let success = self.view.last_success.map(|time| format!("succeeded {} ago", since(time)));
        let last = match (self.view.last_reload, success) {
            (None, _) => "none".to_owned(),
            (Some(true), success) => success.unwrap_or_else(|| "succeeded".to_owned()),
            (Some(false), None) => "failed".to_owned(),
            (Some(false), Some(success)) => format!("failed; the last good one {success}"),
        };
        if self.view.is_reloading { format!("{last}; one goes on") } else { last }
    }
}

impl Worker {
    /// What there is to say of every worker: slot, PID, state and generation.
    pub(super) fn identity(&self) -> Vec<String> {
        let Slot { slot, pid, state, generation, .. } = &self.slot;
        let of_worker = |text: String| if pid.is_some() { text } else { UNKNOWN.to_owned() };
        vec![
            slot.to_string(),
            pid.map_or_else(|| UNKNOWN.to_owned(), |pid| pid.to_string()),
            state.clone(),
            of_worker(generation.to_string()),
        ]
    }

    /// Something that it has used.
    pub(super) fn used(&self, spelled: impl Fn(&Usage) -> String) -> String {
        self.usage.as_ref().map_or_else(|| UNKNOWN.to_owned(), spelled)
    }
}
