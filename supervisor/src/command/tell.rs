//! `headcount reload`, `scale`, `stop` and `upgrade`: a signal to the supervisor, and what comes of it, as its directory
//! shows.
#![expect(clippy::print_stdout, reason = "what came of it is the result")]

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use headcount_merge::Merger;
use nix::sys::signal::{Signal, kill};

use super::Done;
use crate::cli::{ScaleArgs, TellArgs};
use crate::owner::{FindError, Owner};
use crate::pool::Pid;
use crate::process::queue_signal;
use crate::view::View;

/// How often the directory is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// A signal that comes while one like it waits is lost: what may be said twice is said again.
const AGAIN: Duration = Duration::from_secs(1);

/// A supervisor did not do what it was told.
#[derive(Debug, thiserror::Error)]
enum TellError {
    /// The system does not let us.
    #[error("cannot signal the supervisor, PID {pid}")]
    Signal { pid: Pid, source: io::Error },
    /// The reload has failed.
    #[error("the reload has failed, and the old workers go on: the log of PID {0} says why")]
    Reload(Pid),
    /// The upgrade has failed.
    #[error("the upgrade has failed, and the old supervisor goes on: the log of PID {0} says why")]
    Upgrade(Pid),
    /// It would end by the signal.
    #[error("the supervisor, PID {0}, is of a version that cannot be upgraded: stop and start it")]
    NoUpgrades(Pid),
    /// The supervisor is gone.
    #[error("the supervisor, PID {0}, has ended")]
    Ended(Pid),
    /// Nothing came of it in time.
    #[error("PID {pid} was told, but {missing} after {} s: look at `headcount status`", time.as_secs_f64())]
    TimedOut { pid: Pid, missing: String, time: Duration },
}

pub(super) fn reload(args: &TellArgs) -> Done {
    let mut told = Told::find(args)?;
    let before = told.look()?;
    told.send(|pid| Ok(kill(pid, Signal::SIGHUP)?))?;
    // One that goes on already is not the one that was asked for.
    let due = before.reloads.all() + 1 + u64::from(before.is_reloading);
    let is_done = |view: &View| view.reloads.all() >= due && !view.is_reloading;
    let view = told.wait(is_done, |view| {
        format!("{} of {} workers are ready, and the reload goes on", view.in_state("ready"), view.wanted)
    })?;
    if view.last_reload != Some(true) {
        return Err(TellError::Reload(told.owner.pid).into());
    }
    println!("reloaded: generation {}, {} workers", view.generation, view.wanted);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn scale(args: &ScaleArgs) -> Done {
    let mut told = Told::find(&args.tell)?;
    let workers = u64::from(args.workers);
    let number = i32::try_from(args.workers).unwrap_or(i32::MAX);
    let tell = |pid| queue_signal(pid, Signal::SIGTTIN, number);
    told.send(tell)?;
    let mut last = Instant::now();
    let view = told.wait_and(
        |view| view.wanted == workers && view.in_state("ready") >= workers,
        |view| format!("{} of {} workers are ready", view.in_state("ready"), view.wanted),
        |told, view| {
            if view.wanted != workers && last.elapsed() >= AGAIN {
                last = Instant::now();
                told.send(tell)?;
            }
            Ok(())
        },
    )?;
    println!("scaled: {} workers", view.wanted);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn stop(args: &TellArgs) -> Done {
    let told = Told::find(args)?;
    told.send(|pid| Ok(kill(pid, Signal::SIGTERM)?))?;
    while told.owner.is_alive() {
        told.pause("it still runs")?;
    }
    println!("stopped: PID {}", told.owner.pid);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn upgrade(args: &TellArgs) -> Done {
    let mut told = Told::find(args)?;
    let before = told.look()?;
    // The signal would end a supervisor that does not wait for it.
    let known = before.upgrades.ok_or(TellError::NoUpgrades(told.owner.pid))?;
    told.send(|pid| Ok(kill(pid, Signal::SIGUSR2)?))?;
    let is_over = |view: &View| view.upgrades.is_some_and(|upgrades| upgrades.all() > known.all());
    let view = told.wait(is_over, |_| "nobody has taken over".to_owned())?;
    let pid = told.owner.pid;
    if view.upgrades.is_none_or(|upgrades| upgrades.success == known.success) {
        return Err(TellError::Upgrade(pid).into());
    }
    println!("upgraded: PID {pid} is the new program now, and replaces its workers");
    Ok(ExitCode::SUCCESS)
}

/// A supervisor that is told something, and until when something is to come of it.
struct Told {
    owner: Owner,
    merger: Merger,
    started: Instant,
    timeout: Duration,
}

impl Told {
    fn find(args: &TellArgs) -> Result<Self, FindError> {
        let owner = Owner::find(args.owner.dir.as_deref())?;
        Ok(Self { owner, merger: Merger::default(), started: Instant::now(), timeout: args.timeout })
    }

    fn send(&self, signal: impl Fn(Pid) -> io::Result<()>) -> Result<(), TellError> {
        let pid = self.owner.pid;
        signal(pid).map_err(|source| TellError::Signal { pid, source })
    }

    /// What the directory shows, if the supervisor still runs.
    fn look(&mut self) -> Result<View, Box<dyn std::error::Error>> {
        let view = View::read(&self.owner.directory, &mut self.merger);
        // Asked last: what a supervisor that is gone has shown is not the truth any more.
        if self.owner.is_alive() { Ok(view?) } else { Err(TellError::Ended(self.owner.pid).into()) }
    }

    /// Waits a little; fails if there is no time left, saying what is missing.
    fn pause(&self, missing: &str) -> Result<(), TellError> {
        if self.started.elapsed() >= self.timeout {
            let (pid, time) = (self.owner.pid, self.timeout);
            return Err(TellError::TimedOut { pid, missing: missing.to_owned(), time });
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }

    fn wait(
        &mut self,
        is_done: impl Fn(&View) -> bool,
        missing: impl Fn(&View) -> String,
    ) -> Result<View, Box<dyn std::error::Error>> {
        self.wait_and(is_done, missing, |_, _| Ok(()))
    }

    fn wait_and(
        &mut self,
        is_done: impl Fn(&View) -> bool,
        missing: impl Fn(&View) -> String,
        mut meanwhile: impl FnMut(&Self, &View) -> Result<(), TellError>,
    ) -> Result<View, Box<dyn std::error::Error>> {
        loop {
            let view = self.look()?;
            if is_done(&view) {
                return Ok(view);
            }
            meanwhile(self, &view)?;
            self.pause(&missing(&view))?;
        }
    }
}
