//! Workers whose master was killed. They have got `SIGTERM` from the kernel and finish what they have accepted; the
//! exporter, which got it, too, stays until they are gone, and kills those that do not go in time. So the port is
//! free for the next supervisor.
//!
//! Nobody knows the workers any more, so they are told by what they were given: a slot, and the notify socket of this
//! very supervisor. Workers that did not execute a program have it in memory only; those are left to themselves.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::getpgid;

use crate::pool::Pid;

/// How often it is looked whether they are gone.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until no worker is left that was told of this notify socket; kills them after `patience`.
pub(crate) fn see_off(notify: &Path, patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        let left: Vec<_> = workers(notify).collect();
        if left.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            for &pid in &left {
                tracing::warn!(%pid, "did not stop in time after its master's death, killing it");
                // Whoever is gone meanwhile has done what was wanted.
                let _ = killpg(pid, Signal::SIGKILL);
            }
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Those that lead a process group, as every worker does: the processes that they have started do not.
fn workers(notify: &Path) -> impl Iterator<Item = Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    pids.filter(|&pid| getpgid(Some(pid)) == Ok(pid) && was_given(pid, notify))
}

/// Whether a process was started with a slot and this notify socket. A zombie was started with nothing.
fn was_given(pid: Pid, notify: &Path) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let value_of = |name: &[u8]| {
        let mut variables = environment.split(|&byte| byte == 0);
        variables.find_map(|variable| variable.strip_prefix(name)?.strip_prefix(b"="))
    };
    value_of(b"HEADCOUNT_SLOT").is_some() && value_of(b"NOTIFY_SOCKET") == Some(notify.as_os_str().as_bytes())
}
