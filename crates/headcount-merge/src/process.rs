//! Whose values they are: the processes that files belong to.
//!
//! Only the gauge modes `all` and `liveall` ever show a process, as the label `pid`. Two processes of
//! different PID namespaces may have the same number; then one keeps it, and the other's is written
//! with its namespace behind it.

use std::collections::HashMap;
use std::sync::Arc;

/// A process that wrote a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// The PID, or what an application of Python's or Ruby's client calls the process.
    pub(crate) name: Arc<str>,
    /// The inode of its PID namespace; 0 if the file does not say.
    pub(crate) pid_namespace: u64,
    /// Whether it is alive.
    pub(crate) life: Life,
    /// The number that its file got when it was buried, by which the dead of all clients are in order.
    pub(crate) buried: u64,
}

/// Whether a process is alive, and of the dead with one name, which came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// The greater number came later.
    Dead(u64),
    /// Alive.
    Alive,
}

impl Life {
    /// Of the dead, which came later.
    pub(crate) fn order(self) -> u64 {
        match self {
            Self::Dead(order) => order,
            Self::Alive => u64::MAX,
        }
    }
}

/// All processes of a gather. A process is named by its place.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    all: Vec<Process>,
    /// What the label `pid` says of those of which it does not say the name, in their order.
    labels: Vec<(u32, String)>,
    /// How many there are to begin with.
    kept: usize,
}

impl Processes {
    /// Begins again with what is [kept](Self::keep).
    pub(crate) fn clear(&mut self) {
        self.all.truncate(self.kept);
    }

    /// Keeps those that there are now, to begin with.
    pub(crate) fn keep(&mut self) {
        self.kept = self.all.len();
    }

    pub(crate) fn add(&mut self, process: Process) -> u32 {
        self.all.push(process);
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, process: u32) -> &Process {
        &self.all[process as usize]
    }

    /// Notes what a process has become.
    pub(crate) fn set_life(&mut self, process: u32, life: Life) {
        self.all[process as usize].life = life;
    }

    /// What the label `pid` says of a process, once [all are labelled](Self::label_all).
    pub(crate) fn label(&self, process: u32) -> &str {
        match self.labels.binary_search_by_key(&process, |(process, _)| *process) {
            Ok(at) => &self.labels[at].1,
            Err(_) => &self.get(process).name,
        }
    }

    /// Finds out what the label `pid` says of each process, now that all are known.
    pub(crate) fn label_all(&mut self) {
        self.labels.clear();
        let namespaced = || self.all.iter().filter(|process| process.pid_namespace != 0);
        let namespaces = || namespaced().map(|process| process.pid_namespace);
        // Most often there is no other.
        if namespaces().min() == namespaces().max() {
            return;
        }
        let mut first_namespace: HashMap<&str, u64> = HashMap::new();
        for process in namespaced() {
            let first = first_namespace.entry(&process.name).or_insert(process.pid_namespace);
            *first = (*first).min(process.pid_namespace);
        }
        let label = |process: &Process| {
            let Process { name, pid_namespace, .. } = process;
            let first =
                first_namespace.get(&**name).filter(|first| *pid_namespace != 0 && pid_namespace != *first);
            first.map(|_| format!("{name}-{pid_namespace}"))
        };
        let labels = (0..).zip(&self.all).filter_map(|(at, process)| Some((at, label(process)?)));
        self.labels = labels.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_namespaces_with_the_same_pid_one_keeps_the_bare_number() {
        let mut processes = Processes::default();
        for (name, pid_namespace) in [("7", 40), ("7", 30), ("7", 40), ("8", 40), ("7", 0), ("web", 0)] {
            processes.add(Process { name: name.into(), pid_namespace, life: Life::Alive, buried: 0 });
        }
        processes.label_all();
        let labels: Vec<_> = (0..6).map(|process| processes.label(process)).collect();
        assert_eq!(labels, ["7-40", "7", "7-40", "8", "7", "web"]);
    }

    #[test]
    fn the_living_come_after_the_dead() {
        assert!(Life::Alive > Life::Dead(u64::MAX));
        assert!(Life::Dead(2) > Life::Dead(1));
    }
}
