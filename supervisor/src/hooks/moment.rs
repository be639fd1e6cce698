//! When a hook runs, and what it is told: `worker_exit=COMMAND`.

use std::str::FromStr;

use crate::pool::Pid;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The sockets are bound; workers are started when this hook has ended.
    OnStarting,
    /// All workers are ready for the first time.
    WhenReady,
    /// A worker is about to be forked. It is not waited for.
    PreFork,
    /// A worker was forked.
    PostFork,
    /// A worker serves.
    WorkerReady,
    /// A worker has ended, and its files are buried.
    WorkerExit,
    /// A reload was asked for.
    Reload,
    /// All workers are gone.
    OnExit,
}

const ALL: [Moment; 8] = [
    Moment::OnStarting,
    Moment::WhenReady,
    Moment::PreFork,
    Moment::PostFork,
    Moment::WorkerReady,
    Moment::WorkerExit,
    Moment::Reload,
    Moment::OnExit,
];

impl Moment {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OnStarting => "on_starting",
            Self::WhenReady => "when_ready",
            Self::PreFork => "pre_fork",
            Self::PostFork => "post_fork",
            Self::WorkerReady => "worker_ready",
            Self::WorkerExit => "worker_exit",
            Self::Reload => "reload",
            Self::OnExit => "on_exit",
        }
    }
}

/// A command, and when it is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When.
    pub moment: Moment,
    /// What, for a shell.
    pub command: String,
}

/// A text is no hook.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HookError {
    /// There is no command.
    #[error("expected EVENT=COMMAND, such as worker_exit='logger a worker has ended'")]
    Form,
    /// There is no such moment.
    #[error("unknown event `{0}` (there are {names})", names = ALL.map(Moment::name).join(", "))]
    Moment(String),
}

impl FromStr for Hook {
    type Err = HookError;

    fn from_str(text: &str) -> Result<Self, HookError> {
        let (name, command) = text.split_once('=').ok_or(HookError::Form)?;
        let moment = ALL.into_iter().find(|moment| moment.name() == name);
        let moment = moment.ok_or_else(|| HookError::Moment(name.to_owned()))?;
        if command.trim().is_empty() || command.contains('\0') {
            return Err(HookError::Form);
        }
        Ok(Self { moment, command: command.to_owned() })
    }
}

/// Something that has happened, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// What it is.
    pub moment: Moment,
    /// The worker's slot, if it is about one.
    pub slot: Option<u32>,
    /// The worker's PID, once it has one.
    pub pid: Option<Pid>,
    /// The worker's generation, or the one that is started now.
    pub generation: u64,
    /// Why something has ended: as in `headcount_exits_total`, or `stopped` or `never_ready`.
    pub reason: Option<&'static str>,
}

impl Occasion {
    /// The variables by which a hook is told.
    pub(super) const NAMES: [&str; 5] =
        ["HEADCOUNT_HOOK", "HEADCOUNT_PID", "HEADCOUNT_SLOT", "HEADCOUNT_GENERATION", "HEADCOUNT_REASON"];

    /// Something that happens to all.
    pub(crate) fn of_all(moment: Moment, generation: u64) -> Self {
        Self { moment, slot: None, pid: None, generation, reason: None }
    }

    /// Those of its variables that have a meaning.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let values = [
            Some(self.moment.name().to_owned()),
            self.pid.map(|pid| pid.to_string()),
            self.slot.map(|slot| slot.to_string()),
            Some(self.generation.to_string()),
            self.reason.map(str::to_owned),
        ];
        Self::NAMES.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_an_event_and_a_command() {
        let parse = |text: &str| text.parse::<Hook>();
        let hook = parse("worker_exit=echo a=b").unwrap();
        assert_eq!((hook.moment, hook.command.as_str()), (Moment::WorkerExit, "echo a=b"));
        for moment in ALL {
            assert_eq!(parse(&format!("{}=true", moment.name())).unwrap().moment, moment);
        }
        for bad in ["worker_exit", "worker_exit=", "worker_exit= ", "on_exit=a\0b", ""] {
            assert_eq!(parse(bad), Err(HookError::Form), "{bad}");
        }
        let refusal = parse("child_exit=true").unwrap_err();
        assert_eq!(refusal, HookError::Moment("child_exit".to_owned()));
        assert!(refusal.to_string().contains("on_starting, when_ready"), "{refusal}");
    }

    #[test]
    fn a_hook_is_told_what_has_a_meaning() {
        let worker = Occasion {
            slot: Some(3),
            pid: Some(Pid::from_raw(42)),
            reason: Some("SIGKILL"),
            ..Occasion::of_all(Moment::WorkerExit, 7)
        };
        let told = |occasion: Occasion| {
            let variables = occasion.variables().into_iter();
            variables.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            told(worker),
            "HEADCOUNT_HOOK=worker_exit HEADCOUNT_PID=42 HEADCOUNT_SLOT=3 HEADCOUNT_GENERATION=7 \
             HEADCOUNT_REASON=SIGKILL"
        );
        let all = Occasion::of_all(Moment::Reload, 1);
        assert_eq!(told(all), "HEADCOUNT_HOOK=reload HEADCOUNT_GENERATION=1");
    }
}
