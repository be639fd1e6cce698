//! What a child process is before it runs anything: as whom, where, on which processor, within what limits.

use std::path::PathBuf;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::identity::Identity;
use crate::limits::Limit;

/// Where a child differs from the process that forks it. [`fork_child`](crate::process::fork_child) sees to it.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// As whom it runs.
    pub identity: Option<Identity>,
    /// What it may use.
    pub limits: Vec<Limit>,
    /// The permissions that files created by it lack.
    pub umask: Option<Mode>,
    /// The folder in which it runs.
    pub folder: Option<PathBuf>,
    /// The processor on which it runs.
    pub processor: Option<usize>,
    /// Whether neither it nor what it executes can gain privileges, as by setuid programs.
    pub no_new_privs: bool,
}

/// Which worker runs on which processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Each on whichever the system chooses.
    None,
    /// Each slot on one of these, in turn.
    Slot(Vec<usize>),
}

impl Affinity {
    /// By slot, on the processors that this process may use.
    ///
    /// # Errors
    ///
    /// When the system does not tell which these are.
    pub fn by_slot() -> std::io::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let is_allowed = |processor: &usize| allowed.is_set(*processor).unwrap_or(false);
        Ok(Self::Slot((0..CpuSet::count()).filter(is_allowed).collect()))
    }

    /// The processor of a slot; `None` if the system is to choose.
    #[must_use]
    pub fn processor(&self, slot: u32) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Slot(allowed) => allowed.get(slot as usize % allowed.len().max(1)).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_go_round_the_processors_that_are_allowed() {
        let affinity = Affinity::Slot(vec![2, 5, 6]);
        let processors: Vec<_> = (0..5).map(|slot| affinity.processor(slot)).collect();
        assert_eq!(processors, [Some(2), Some(5), Some(6), Some(2), Some(5)]);
        assert_eq!(Affinity::None.processor(3), None);
        assert_eq!(Affinity::Slot(Vec::new()).processor(3), None);
        assert!(Affinity::by_slot().unwrap().processor(0).is_some());
    }
}
