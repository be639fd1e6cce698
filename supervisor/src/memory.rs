//! How much memory workers have, as `/proc` tells: those that have grown too large are replaced.

use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, sysconf};

use crate::pool::Pid;

/// Looking costs a file's reading for each worker, and a leak takes longer than this to hurt.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks at workers' memory now and then.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    /// In bytes.
    limit: u64,
    next: Instant,
}

impl MemoryWatch {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, next: Instant::now() + INTERVAL }
    }

    /// When it looks again.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Those of `workers` that have more memory than they may, and how many bytes; nobody before it is time.
    pub(crate) fn look(&mut self, workers: impl Iterator<Item = Pid>, now: Instant) -> Vec<(Pid, u64)> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + INTERVAL;
        let sizes = workers.filter_map(|pid| Some((pid, resident(pid)?)));
        sizes.filter(|&(_, bytes)| bytes > self.limit).collect()
    }
}

/// The resident memory of a process in bytes; `None` if it is gone.
pub(crate) fn resident(pid: Pid) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?;
    pages.checked_mul(page.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_more_than_the_limit_is_named_once_it_is_time() {
        let own = nix::unistd::getpid();
        let later = Instant::now() + 2 * INTERVAL;
        let mut watch = MemoryWatch::new(1);
        assert_eq!(watch.look([own].into_iter(), Instant::now()), []);
        let [(pid, bytes)] = watch.look([own].into_iter(), later).try_into().unwrap();
        assert!(pid == own && bytes > 100_000);
        assert_eq!(watch.look([own].into_iter(), later), []);
        assert_eq!(MemoryWatch::new(1 << 40).look([own].into_iter(), later), []);
    }
}
