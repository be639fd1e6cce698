//! What a worker finds in its environment.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::sockets::WorkerSockets;

/// This process's variables, and those that tell a worker where it is.
pub(crate) fn worker_environment(
    directory: &Path,
    notify: &Path,
    sockets: &WorkerSockets,
    watchdog: Option<Duration>,
) -> impl Iterator<Item = (OsString, OsString)> {
    const OURS: [&str; 10] = [
        "PROMETHEUS_MULTIPROC_DIR",
        "prometheus_multiproc_dir",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PID",
        "HEADCOUNT_SLOT",
        "HEADCOUNT_GENERATION",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
    ];
    let names: Vec<_> = sockets.addresses().map(|(name, _)| name).collect();
    let mut ours: Vec<(&str, OsString)> = vec![
        ("PROMETHEUS_MULTIPROC_DIR", directory.into()),
        // Ruby's client knows this one only.
        ("prometheus_multiproc_dir", directory.into()),
        ("NOTIFY_SOCKET", notify.into()),
    ];
    if let Some(time) = watchdog {
        ours.push(("WATCHDOG_USEC", time.as_micros().to_string().into()));
    }
    if !names.is_empty() {
        ours.push(("LISTEN_FDS", names.len().to_string().into()));
        ours.push(("LISTEN_FDNAMES", names.join(":").into()));
    }
    let inherited = std::env::vars_os().filter(|(name, _)| !OURS.iter().any(|ours| name == ours));
    inherited.chain(ours.into_iter().map(|(name, value)| (name.into(), value)))
}
