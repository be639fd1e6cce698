//! What a process has used so far, as `/proc` tells.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use crate::memory::resident;
use crate::pool::Pid;

/// What a process has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// How long it has lived.
    pub uptime: Duration,
    /// How long it has computed, for itself and in the system.
    pub cpu: Duration,
    /// Its resident memory, in bytes.
    pub resident: u64,
    /// Its addresses, in bytes.
    pub addresses: u64,
    /// How many threads it has.
    pub threads: u64,
    /// How long the system had been up when it was started: no two processes of one PID have that in common.
    pub started: Duration,
}

impl Usage {
    /// Asks about a process; `None` if it is gone.
    #[must_use]
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let tick = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
        let [user, system, threads, started, addresses] = fields(&stat)?;
        let [user, system, started] = [user, system, started].map(|ticks| in_seconds(ticks, tick));
        let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
        let (uptime, resident) = (now.saturating_sub(started), resident(pid)?);
        Some(Self { uptime, cpu: user + system, resident, addresses, threads, started })
    }
}

fn in_seconds(ticks: u64, per_second: i64) -> Duration {
    let per_second = u64::try_from(per_second).unwrap_or(100).max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / per_second)
}

/// Fields 14, 15, 20, 22 and 23; the second one, a name in parentheses, may hold anything.
fn fields(stat: &str) -> Option<[u64; 5]> {
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse().ok();
    Some([field(14)?, field(15)?, field(20)?, field(22)?, field(23)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_lived_computed_and_taken_memory() {
        let usage = Usage::of(nix::unistd::getpid()).unwrap();
        assert!(usage.uptime < Duration::from_secs(3600) && usage.cpu <= usage.uptime * 64);
        assert!(usage.resident > 100_000 && usage.addresses > usage.resident);
        // The test runs in one of its own.
        assert!(usage.threads >= 2);
        assert_eq!(Usage::of(Pid::from_raw(i32::MAX)), None);
    }

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 987654 1000 20\n";
        assert_eq!(fields(stat), Some([50, 60, 1, 987_654, 1000]));
        assert_eq!(fields("42 (a"), None);
    }
}
