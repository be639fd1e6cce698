//! Whether the processes of peers live.
//!
//! Their files do not tell, and their PIDs alone would lie: a PID comes again, and means nothing in another
//! namespace. But a living process has the files open that it writes, and the kernel knows whether anybody
//! has. Where it does not tell, a process is dead that has been seen to map its live gauges and is gone. One
//! that was never seen, because it runs in another container or may not be looked at, is never taken for dead:
//! then only burying its files says so.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use headcount_store::directory::PeerName;
use headcount_store::process::{maps_file, start_time, started_at};
use headcount_store::read::OpenFile;
use headcount_store::writers::Writers;

/// By what the processes of peers are told to be dead, whose files nobody has buried. Ours hold locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// That nobody has their live gauges open for writing any more; or, where the kernel does not tell, that
    /// they were seen to map them, and are gone.
    Auto,
    /// The same, but while a process of that PID runs that was started before the file was made, it lives,
    /// whether it has the file open or not.
    Proc,
    /// Nothing: they live until their files are buried.
    #[default]
    Hook,
}

/// A file in doubt.
#[derive(Debug)]
pub(crate) struct Doubted<'a> {
    pub(crate) file: &'a mut OpenFile,
    pub(crate) name: &'a PeerName,
    pub(crate) inode: u64,
    /// When the file was made, if the file system tells.
    pub(crate) born: Option<SystemTime>,
}

/// Both clocks are coarse, and a file is made by a process that has started.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Judges by what it sees, and by what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    by: Liveness,
    /// The writers that have been seen, by the inodes of their files.
    writers: HashMap<u64, Writer>,
    gathers: u64,
}

#[derive(Clone, Copy, Debug)]
struct Writer {
    pid: u32,
    start_time: u64,
    /// The last gather that asked.
    gather: u64,
}

impl Judge {
    pub(crate) fn new(by: Liveness) -> Self {
        Self { by, ..Self::default() }
    }

    /// Begins a gather: files that the last one did not meet are forgotten.
    pub(crate) fn begin(&mut self) {
        let last = self.gathers;
        self.writers.retain(|_, writer| writer.gather == last);
        self.gathers += 1;
    }

    /// Whether a file's writer is known to be dead.
    pub(crate) fn is_dead(&mut self, doubted: Doubted<'_>) -> bool {
        if self.by == Liveness::Hook {
            return false;
        }
        match doubted.file.writers() {
            Writers::Some => false,
            Writers::None => self.by == Liveness::Auto || !may_run(&doubted),
            Writers::Unknown => self.was_seen_and_is_gone(&doubted),
        }
    }

    fn was_seen_and_is_gone(&mut self, &Doubted { name, inode, .. }: &Doubted<'_>) -> bool {
        let Some(pid) = pid(name) else { return false };
        if let Some(writer) = self.writers.get_mut(&inode).filter(|writer| writer.pid == pid) {
            writer.gather = self.gathers;
            if start_time(pid) == Some(writer.start_time) {
                return false;
            }
        }
        // Nobody that is known; or the file is written by another process of that PID now.
        let seen = start_time(pid).filter(|_| maps_file(pid, inode, &name.to_string()).unwrap_or(false));
        if let Some(start_time) = seen {
            self.writers.insert(inode, Writer { pid, start_time, gather: self.gathers });
            return false;
        }
        self.writers.contains_key(&inode)
    }
}

/// Whether the process that made a file may still run here. One that has no PID may.
fn may_run(&Doubted { name, born, .. }: &Doubted<'_>) -> bool {
    let Some(pid) = pid(name) else { return true };
    let Some(start_time) = start_time(pid) else { return false };
    match (started_at(start_time), born) {
        (Some(started), Some(born)) => started <= born + TOLERANCE,
        _ => true,
    }
}

fn pid(name: &PeerName) -> Option<u32> {
    name.ruby_process().unwrap_or(&name.process).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Child, Command};

    use headcount_store::directory::FileName;

    use super::*;

    /// What is said of a file that nobody has open, of the process with this name.
    fn check(process: &dyn std::fmt::Display, age: Duration, expected: [bool; 3]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = format!("gauge_livesum_{process}.db");
        let Ok(Some(FileName::Peer(name))) = FileName::parse(&name) else { panic!("{name}") };
        let (mut read, path) = (OpenFile::from(File::open(file.path()).unwrap()), file.into_temp_path());
        let born = Some(SystemTime::now() - age);
        let mut is_dead = |by| {
            read.doubt();
            Judge::new(by).is_dead(Doubted { file: &mut read, name: &name, inode: 1, born })
        };
        for (by, expected) in [Liveness::Auto, Liveness::Proc, Liveness::Hook].into_iter().zip(expected) {
            assert_eq!(is_dead(by), expected, "{name} by {by:?}");
        }
        let writer = File::options().append(true).open(&path).unwrap();
        for by in [Liveness::Auto, Liveness::Proc] {
            assert!(!is_dead(by), "{name} by {by:?} is written");
        }
        drop(writer);
        assert_eq!(is_dead(Liveness::Auto), expected[0], "{name} is not written any more");
    }

    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_file_that_nobody_writes_is_a_dead_process_unless_one_runs_that_may_have_made_it() {
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        check(&gone.id(), Duration::ZERO, [true, true, false]);
        check(&format!("{}-0", gone.id()), Duration::ZERO, [true, true, false]);
        let running = Running(Command::new("sleep").arg("600").spawn().unwrap());
        check(&running.0.id(), Duration::ZERO, [true, false, false]);
        // Then the PID has come again.
        check(&running.0.id(), Duration::from_secs(3600), [true, true, false]);
        check(&"uwsgi_1", Duration::from_secs(3600), [true, false, false]);
    }
}
