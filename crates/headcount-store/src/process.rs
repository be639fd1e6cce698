//! Which process this is, told so that no other process, before or after, could be mistaken for it.
//!
//! A PID alone is reused; a PID with its namespace and the process's start time is not. Everything
//! here can be asked between `fork` and `exec`: no allocation, no lock.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, stat};
use nix::unistd::read;

/// One process, for all time on this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// The PID as the process itself sees it.
    pub pid: u32,
    /// The inode of its PID namespace; 0 if `/proc` does not tell.
    pub pid_namespace: u64,
    /// When it started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`); 0 if unknown.
    pub start_time: u64,
}

/// A process's place under its supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The worker slot, stable across restarts; `None` without a supervisor.
    pub slot: Option<u32>,
    /// How many reloads came before.
    pub generation: u64,
}

impl ProcessId {
    /// The calling process.
    #[must_use]
    pub fn own() -> Self {
        Self {
            pid: std::process::id(),
            pid_namespace: pid_namespace(),
            start_time: start_time_of(c"/proc/self/stat").unwrap_or(0),
        }
    }
}

/// The inode of the caller's PID namespace; 0 if `/proc` is not mounted.
#[must_use]
pub fn pid_namespace() -> u64 {
    stat(c"/proc/self/ns/pid").map_or(0, |found| found.st_ino)
}

/// Nanoseconds since 1970; 0 for a clock before that.
#[must_use]
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()))
}

fn start_time_of(path: &std::ffi::CStr) -> io::Result<u64> {
    let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    // The line is shorter than this: 52 numbers and a name of 16 bytes.
    let mut line = [0; 2048];
    let len = read(&file, &mut line)?;
    parse_start_time(&line[..len]).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Field 22. The second field, the command's name in parentheses, may hold anything, even `) `.
fn parse_start_time(line: &[u8]) -> Option<u64> {
    let after_name = line.iter().rposition(|&byte| byte == b')')? + 2;
    let field = line.get(after_name..)?.split(|&byte| byte == b' ').nth(19)?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let line = b"42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 20\n";
        assert_eq!(parse_start_time(line), Some(987_654));
        assert_eq!(parse_start_time(b"42 (a"), None);
        assert_eq!(parse_start_time(b""), None);
    }

    #[test]
    fn this_process_knows_itself() {
        let own = ProcessId::own();
        assert_eq!(own.pid, std::process::id());
        assert!(own.pid_namespace > 0);
        assert!(own.start_time > 0);
        assert_eq!(own, ProcessId::own());
    }
}
