//! Which process this is, told so that no other process, before or after, could be mistaken for it.
//!
//! A PID alone is reused; a PID with its namespace and the process's start time is not. Everything
//! here can be asked between `fork` and `exec`: no allocation, no lock.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// When a process that lives has started, in clock ticks since boot; `None` if there is none of that PID, or
/// only a zombie.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    let line = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let state = line.get(line.iter().rposition(|&byte| byte == b')')? + 2)?;
    parse_start_time(&line).filter(|_| !matches!(state, b'Z' | b'X'))
}

/// When a process that has this start time was started by the clock, as that goes now; `None` if `/proc` does
/// not tell.
#[must_use]
pub fn started_at(start_time: u64) -> Option<SystemTime> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime = Duration::try_from_secs_f64(uptime.split(' ').next()?.parse().ok()?).ok()?;
    // A hundred ticks a second, in whatever the kernel counts itself.
    let started = Duration::from_millis(start_time.checked_mul(10)?);
    SystemTime::now().checked_sub(uptime.saturating_sub(started))
}

/// Whether a process has a file mapped, given by its inode and its name.
///
/// # Errors
///
/// When there is no such process, or its mappings are none of the caller's business.
pub fn maps_file(pid: u32, inode: u64, name: &str) -> io::Result<bool> {
    let maps = std::fs::read(format!("/proc/{pid}/maps"))?;
    // The device is left out: some file systems give another one here than elsewhere.
    Ok(maps.split(|&byte| byte == b'\n').any(|line| is_mapping_of(line, inode, name)))
}

/// A line has addresses, rights, offset, device, inode and, behind some spaces, the path.
fn is_mapping_of(line: &[u8], inode: u64, name: &str) -> bool {
    let line = String::from_utf8_lossy(line);
    let mut fields = line.split(' ').skip(4);
    let same_inode = fields.next().and_then(|field| field.parse().ok()) == Some(inode);
    same_inode && line.rsplit('/').next() == Some(name)
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
    fn a_mapping_is_told_by_inode_and_name() {
        let line =
            b"7f3a6c000000-7f3a6c010000 rw-s 00000000 00:2f 4711                       /tmp/a b/gauge_1.db";
        assert!(is_mapping_of(line, 4711, "gauge_1.db"));
        assert!(!is_mapping_of(line, 4712, "gauge_1.db") && !is_mapping_of(line, 4711, "gauge_2.db"));
        assert!(!is_mapping_of(b"7f3a6c000000-7f3a6c010000 rw-p 00000000 00:00 0 ", 0, "x"));
        assert!(!is_mapping_of(b"", 0, ""));
    }

    #[test]
    fn a_process_is_seen_to_map_a_file_while_it_does_and_to_live_while_it_does() {
        use std::io::Write as _;
        use std::os::unix::fs::MetadataExt;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"x").unwrap();
        let inode = file.as_file().metadata().unwrap().ino();
        let name = file.path().file_name().unwrap().to_str().unwrap();
        let own = std::process::id();
        assert!(!maps_file(own, inode, name).unwrap());
        let _mapping = memmap2::MmapRaw::map_raw(file.as_file()).unwrap();
        assert!(maps_file(own, inode, name).unwrap());

        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let started = start_time(child.id());
        assert!(started.is_some() && started >= start_time(own));
        child.kill().unwrap();
        // Dead, and perhaps a zombie until it is waited for.
        while start_time(child.id()).is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(start_time(child.id()), None);
    }

    #[test]
    fn the_clock_says_when_a_process_was_started() {
        let before = SystemTime::now();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let started = started_at(start_time(child.id()).unwrap()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // Both clocks are read one after the other, and ticks are coarse.
        let tolerance = Duration::from_secs(1);
        assert!(started > before - tolerance && started < SystemTime::now() + tolerance);
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
