//! What a worker finds in its environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::sockets::WorkerSockets;

/// The variables that the supervisor sets, each for its own children: none is passed on from its own.
const OURS: [&str; 12] = [
    "PROMETHEUS_MULTIPROC_DIR",
    "prometheus_multiproc_dir",
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "HEADCOUNT_SLOT",
    "HEADCOUNT_GENERATION",
    "HEADCOUNT_MAX_REQUESTS",
    crate::handover::VARIABLE,
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// A variable that workers are given beside those that the supervisor sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    name: String,
    value: String,
}

/// A text is no variable, or not one that may be set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VariableError {
    /// There is no name, or nothing after it.
    #[error("expected NAME=VALUE")]
    Form,
    /// The supervisor sets it.
    #[error("the supervisor sets {0} itself")]
    Ours(String),
}

impl FromStr for Variable {
    type Err = VariableError;

    fn from_str(text: &str) -> Result<Self, VariableError> {
        match text.split_once('=') {
            _ if text.contains('\0') => Err(VariableError::Form),
            None | Some(("", _)) => Err(VariableError::Form),
            Some((name, _)) if OURS.contains(&name) => Err(VariableError::Ours(name.to_owned())),
            Some((name, value)) => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
        }
    }
}

/// This process's variables, those of `more` in place of any of the same name, and those that tell a worker
/// where it is.
pub(crate) fn worker_environment(
    more: Vec<Variable>,
    directory: &Path,
    notify: &Path,
    sockets: &WorkerSockets,
    watchdog: Option<Duration>,
) -> Vec<(OsString, OsString)> {
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
    let mut variables: Vec<(OsString, OsString)> = inherited().collect();
    for Variable { name, value } in more {
        variables.retain(|(known, _)| *known != *name);
        variables.push((name.into(), value.into()));
    }
    variables.extend(ours.into_iter().map(|(name, value)| (name.into(), value)));
    variables
}

/// This process's variables, as far as they are meant for its children, too.
pub(crate) fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    // What configures this supervisor is not to configure one that a worker starts.
    let is_own =
        |name: &OsString| OURS.iter().any(|ours| name == ours) || name.as_bytes().starts_with(b"HEADCOUNT_");
    std::env::vars_os().filter(move |(name, _)| !is_own(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_win_over_inherited_ones_and_the_last_over_those_before() {
        assert!(std::env::var_os("PATH").is_some());
        let more = ["PATH=/first", "EMPTY=", "PATH=/a=b"].map(|text| text.parse().unwrap());
        let all = worker_environment(
            more.into(),
            Path::new("/d"),
            Path::new("/n"),
            &WorkerSockets::default(),
            None,
        );
        let values = |name: &str| {
            all.iter().filter(|(known, _)| known == name).map(|(_, value)| value.to_str()).collect::<Vec<_>>()
        };
        assert_eq!(values("PATH"), [Some("/a=b")]);
        assert_eq!(values("EMPTY"), [Some("")]);
        assert_eq!(values("NOTIFY_SOCKET"), [Some("/n")]);
        assert_eq!(values("LISTEN_FDS"), Vec::<Option<&str>>::new());
    }

    #[test]
    fn what_the_supervisor_sets_is_refused() {
        let refusal = |text: &str| text.parse::<Variable>().unwrap_err();
        assert_eq!(refusal("LISTEN_FDS=3"), VariableError::Ours("LISTEN_FDS".to_owned()));
        assert_eq!(refusal("NAME"), VariableError::Form);
        assert_eq!(refusal("=value"), VariableError::Form);
        assert_eq!(refusal("A=\0"), VariableError::Form);
    }
}
