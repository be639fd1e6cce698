//! Whether the processes of peers live.
//!
//! Their files do not tell, and their PIDs alone would lie: a PID comes again, and means nothing in another
//! namespace. But a living process maps the files that it writes. Once one has been seen to map its live
//! gauges, it is dead when it is gone. One that was never seen, because it runs in another container or may
//! not be looked at, is never taken for dead: then only burying its files says so.

use std::collections::HashMap;

use headcount_store::directory::PeerName;
use headcount_store::process::{maps_file, start_time};

/// The writers that have been seen, by the inodes of their files.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
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

impl Liveness {
    /// Begins a gather: files that the last one did not meet are forgotten.
    pub(crate) fn begin(&mut self) {
        let last = self.gathers;
        self.writers.retain(|_, writer| writer.gather == last);
        self.gathers += 1;
    }

    /// Whether a file's writer is known to be dead.
    pub(crate) fn is_dead(&mut self, name: &PeerName, inode: u64) -> bool {
        let process = name.ruby_process().unwrap_or(&name.process);
        let Ok(pid) = process.parse::<u32>() else { return false };
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
