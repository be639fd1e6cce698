//! What was typed, and what it means: checked, found, bound to nothing yet.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use headcount_merge::{Foreign, Liveness};
use headcount_push::CredentialsError;
use nix::sys::stat::Mode;

use crate::address::NamedAddress;
use crate::attributes::{Affinity, Attributes};
use crate::cli::{CpuAffinity, SupervisorArgs, WorkerArgs, WorkerOutput};
use crate::environment::Variable;
use crate::exporter::{Push, WebConfigError, WebOptions, check_web_config};
use crate::hooks::Hook;
use crate::identity::{Identity, IdentityError};
use crate::pool::Policy;
use crate::process::{Program, ProgramError};
use crate::relay::Form;
use crate::sockets::{Access, ListenOptions, MetricsSockets};

/// How long an impatient operator waits.
const HURRY_TIMEOUT: Duration = Duration::from_secs(2);
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
const GIVE_UP_AFTER: u32 = 3;

/// Everything that a run needs to know.
#[derive(Debug)]
pub struct RunOptions {
    /// How the pool is kept.
    pub policy: Policy,
    /// How many requests a worker may answer.
    pub max_requests: Option<u64>,
    /// How much resident memory a worker may have, in bytes.
    pub max_memory: Option<u64>,
    /// Where workers listen.
    pub bind: Vec<NamedAddress>,
    /// How it is listened there.
    pub listen: ListenOptions,
    /// Where the merged metrics are served.
    pub metrics: MetricsSockets,
    /// How they are.
    pub web: WebOptions,
    /// The metrics directory; `None` for one of the supervisor's own.
    pub directory: Option<PathBuf>,
    /// What becomes of Python's and Ruby's files when their processes are dead.
    pub foreign: Foreign,
    /// What tells that one of these is dead, if it is not a child of the supervisor.
    pub liveness: Liveness,
    /// What workers are, each but for its processor.
    pub attributes: Attributes,
    /// On which processor each is.
    pub affinity: Affinity,
    /// What they find in their environment beside what the supervisor has and sets.
    pub environment: Vec<Variable>,
    /// How what they print is passed on; `None` if they have the supervisor's own output.
    pub output: Option<Form>,
    /// Where they are pushed to.
    pub push: Push,
    /// What is run when something happens.
    pub hooks: Vec<Hook>,
    /// How long a hook may take.
    pub hook_timeout: Duration,
    /// Where the supervisor's PID is written.
    pub pid_file: Option<PathBuf>,
}

/// What a supervisor cannot change while it runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fixed {
    bind: Vec<NamedAddress>,
    listen: ListenOptions,
    metrics: MetricsSockets,
    web: WebOptions,
    directory: Option<PathBuf>,
    identity: Option<Identity>,
    output: Option<Form>,
    push: Push,
    pid_file: Option<PathBuf>,
}

impl Fixed {
    /// What has changed that cannot, by the names of its flags.
    pub(crate) fn differences(&self, now: &RunOptions) -> Vec<&'static str> {
        let now = now.fixed();
        let differs = [
            ("bind", self.bind != now.bind),
            ("backlog, unix-mode, unix-owner, reuse-port", self.listen != now.listen),
            ("metrics", self.metrics != now.metrics),
            ("web", self.web != now.web),
            ("dir", self.directory != now.directory),
            ("user, group", self.identity != now.identity),
            ("worker-output", self.output != now.output),
            ("push", self.push != now.push),
            ("pid-file", self.pid_file != now.pid_file),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
    }
}

/// What was typed cannot be.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Workers cannot be who they are to be.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// They cannot be where they are to be.
    #[error("cannot use {} as the workers' folder", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Metrics are to be pushed, but there is to be nobody who could.
    #[error(
        "what serves metrics pushes them, too: with --push.gateway and --push.otlp, --metrics must not be `none`"
    )]
    NoExporter,
    /// The endpoint cannot be as it is to be.
    #[error(transparent)]
    Web(#[from] WebConfigError),
    /// Whom to push to, or what to say there, is not clear.
    #[error("cannot push metrics")]
    Push(#[from] CredentialsError),
    /// The system does not tell which processors there are.
    #[error("cannot tell which processors may be used")]
    Processors(#[source] io::Error),
}

impl RunOptions {
    /// Checks what was typed.
    ///
    /// # Errors
    ///
    /// When workers cannot be whom, and where, they are to be, or the web configuration is wrong.
    pub fn new(args: SupervisorArgs) -> Result<Self, OptionsError> {
        let SupervisorArgs { pool, listen, web, worker, hooks, liveness, push, pid_file } = args;
        let is_passed = web.systemd_socket;
        let web = WebOptions::from(web);
        web.config.as_deref().map_or(Ok(()), check_web_config)?;
        let metrics = match is_passed {
            true => MetricsSockets::Passed,
            false => MetricsSockets::At(listen.metrics.into_iter().filter_map(|metrics| metrics.0).collect()),
        };
        let push = push.into_push()?;
        if !push.is_nothing() && metrics.are_none() {
            return Err(OptionsError::NoExporter);
        }
        let workers = pool.workers.unwrap_or_else(|| {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            u32::try_from(processors).unwrap_or(1)
        });
        Ok(Self {
            policy: Policy {
                workers,
                ready_after: pool.ready_after,
                boot_timeout: pool.boot_timeout,
                watchdog: pool.watchdog,
                max_lifetime: pool.max_lifetime,
                surge: pool.surge,
                lanes: listen.reuse_port,
                graceful_timeout: pool.graceful_timeout,
                hurry_timeout: HURRY_TIMEOUT,
                healthy_after: HEALTHY_AFTER,
                give_up_after: GIVE_UP_AFTER,
            },
            max_requests: pool.max_requests,
            max_memory: pool.max_memory,
            listen: ListenOptions {
                backlog: listen.backlog,
                timeout: listen.bind_timeout,
                reuse_port: listen.reuse_port,
                access: Access { mode: listen.unix_mode, owner: listen.unix_owner },
            },
            bind: listen.bind,
            metrics,
            web,
            // A worker may change its folder.
            directory: listen.dir.map(|path| std::path::absolute(&path).unwrap_or(path)),
            attributes: attributes(&worker)?,
            affinity: match worker.cpu_affinity {
                CpuAffinity::None => Affinity::None,
                CpuAffinity::Slot => Affinity::by_slot().map_err(OptionsError::Processors)?,
            },
            environment: worker.env,
            output: match worker.worker_output {
                WorkerOutput::Inherit => None,
                WorkerOutput::Prefix => Some(Form::Prefix),
                WorkerOutput::Json => Some(Form::Json),
            },
            push,
            hooks: hooks.hook,
            hook_timeout: hooks.hook_timeout,
            pid_file,
            foreign: if listen.no_fold_foreign { Foreign::Leave } else { Foreign::Fold },
            liveness: liveness.liveness.into(),
        })
    }
}

impl RunOptions {
    /// What no reload changes.
    pub(crate) fn fixed(&self) -> Fixed {
        Fixed {
            bind: self.bind.clone(),
            listen: self.listen,
            metrics: self.metrics.clone(),
            web: self.web.clone(),
            directory: self.directory.clone(),
            identity: self.attributes.identity.clone(),
            output: self.output,
            push: self.push.clone(),
            pid_file: self.pid_file.clone(),
        }
    }

    /// Finds the program from where workers run.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be executed.
    pub fn find_program(&self, command: &[OsString]) -> Result<Program, ProgramError> {
        Program::find(command, self.attributes.folder.as_deref().unwrap_or("".as_ref()))
    }
}

fn attributes(worker: &WorkerArgs) -> Result<Attributes, OptionsError> {
    // Links are followed by each worker: a deployment may change them.
    let find_folder = |path: &PathBuf| match path.metadata() {
        Ok(found) if found.is_dir() => Ok(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        Ok(_) => {
            Err(OptionsError::Folder { path: path.clone(), source: io::ErrorKind::NotADirectory.into() })
        }
        Err(source) => Err(OptionsError::Folder { path: path.clone(), source }),
    };
    Ok(Attributes {
        identity: Identity::find(worker.user.as_deref(), worker.group.as_deref())?,
        limits: worker.rlimit.clone(),
        umask: worker.umask.map(Mode::from_bits_truncate),
        folder: worker.chdir.as_ref().map(find_folder).transpose()?,
        processor: None,
        no_new_privs: worker.no_new_privs,
    })
}
