//! The command line, completed by what is said beside it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::flag::{self, Flags, Setting};
use super::{CONFIG, ConfigError, RUN, error, file, shown};
use crate::cli::{Cli, RunArgs, RunCommand};

/// Everything that says how to run, to be read as often as it may have changed.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) words: Vec<OsString>,
    pub(super) variables: Vec<(OsString, OsString)>,
}

/// What has been read.
#[derive(Debug)]
pub struct Resolved {
    args: RunArgs,
    matches: ArgMatches,
    flags: Flags,
    settings: Vec<Setting>,
}

/// A command line that was completed, and what it was completed by.
pub(super) struct Completed {
    pub(super) words: Vec<OsString>,
    flags: Flags,
    settings: Vec<Setting>,
    file: Option<PathBuf>,
}

impl Source {
    /// This process's command line and environment.
    #[must_use]
    pub fn of_process() -> Self {
        Self { words: std::env::args_os().collect(), variables: std::env::vars_os().collect() }
    }

    /// What is to be done: `run` completed by variables and the file, anything else as it was typed.
    ///
    /// # Errors
    ///
    /// When something is wrong, on the command line or beside it.
    pub fn cli(&self) -> Result<Cli, ConfigError> {
        let command = Cli::command();
        let Some(completed) = self.complete(&command)? else {
            let matches = command.try_get_matches_from(&self.words)?;
            return Ok(Cli::from_arg_matches(&matches)?);
        };
        Ok(Cli::from_arg_matches(&completed.parse(command)?)?)
    }

    /// How to run, read anew: the file may have changed.
    ///
    /// # Errors
    ///
    /// When something is wrong with it, or the command line is not that of `run`.
    pub fn read(&self) -> Result<RunArgs, ConfigError> {
        self.resolve().map(|resolved| resolved.args)
    }

    /// How to run, and where each part of it comes from.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn resolve(&self) -> Result<Resolved, ConfigError> {
        let command = Cli::command();
        let Some(completed) = self.complete(&command)? else {
            let mut command = command;
            return Err(command.error(ErrorKind::InvalidSubcommand, "only `run` has a configuration").into());
        };
        let matches = completed.parse(command)?;
        let run = matches.subcommand_matches(RUN).cloned().unwrap_or_default();
        let args = RunCommand::from_arg_matches(&run)?.args;
        Ok(Resolved { args, matches: run, flags: completed.flags, settings: completed.settings })
    }

    /// Completes the command line; `None` if it is not that of `run`, or asks for help.
    pub(super) fn complete(&self, command: &Command) -> Result<Option<Completed>, ConfigError> {
        let Ok(matches) = lenient(command).try_get_matches_from(&self.words) else { return Ok(None) };
        let Some((RUN, typed)) = matches.subcommand() else { return Ok(None) };
        let flags = Flags::of(command);
        let is_typed = |id: &str| typed.value_source(id) == Some(ValueSource::CommandLine);
        let variable = |name: &str| {
            let found =
                self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str());
            found.filter(|value| !value.is_empty())
        };
        let mut settings = flag::from_variables(flags.iter().filter(|flag| !is_typed(&flag.id)), variable)?;
        settings.iter().try_for_each(|setting| check(setting, command))?;
        let file = match settings.iter().find(|setting| setting.id == CONFIG) {
            Some(named) => named.values.first().map(PathBuf::from),
            None => typed.get_raw(CONFIG).and_then(|mut paths| paths.next()).map(PathBuf::from),
        };
        if let Some(path) = &file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
            // Some flags have had variables of their own for longer than `HEADCOUNT_<FLAG>`.
            let is_variable = |id: &str| typed.value_source(id) == Some(ValueSource::EnvVariable);
            let known: Vec<_> = settings.iter().map(|setting| setting.id.clone()).collect();
            let is_free =
                |id: &str| !is_typed(id) && !is_variable(id) && !known.iter().any(|known| known == id);
            let in_file = file::read(path, &text, &flags)?;
            in_file.iter().try_for_each(|setting| check(setting, command))?;
            settings.extend(in_file.into_iter().filter(|setting| is_free(&setting.id)));
        }
        Ok(Some(Completed { words: with_settings(&self.words, &settings), flags, settings, file }))
    }
}

impl Resolved {
    /// How to run.
    #[must_use]
    pub fn args(&self) -> &RunArgs {
        &self.args
    }

    /// All of it as a configuration file that says the same, with where each part comes from beside it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        shown::to_toml(&self.matches, &self.flags, &self.settings)
    }
}

impl Completed {
    fn parse(&self, command: Command) -> Result<ArgMatches, ConfigError> {
        let parsed = command.try_get_matches_from(&self.words);
        parsed.map_err(|usage| match (&self.file, usage.kind()) {
            (Some(path), ErrorKind::MissingRequiredArgument) if !self.has_program() => {
                ConfigError::NoCommand { path: path.clone() }
            }
            _ => usage.into(),
        })
    }

    fn has_program(&self) -> bool {
        self.words.iter().skip_while(|word| *word != "--").nth(1).is_some()
    }
}

/// The same command line, but content with whatever is typed, to learn which flags are.
fn lenient(command: &Command) -> Command {
    command.clone().ignore_errors(true).mut_subcommand(RUN, |run| {
        run.ignore_errors(true).mut_args(|arg| {
            let arg = arg.required(false);
            let takes_values = arg.get_action().takes_values();
            if takes_values { arg.value_parser(ValueParser::os_string()) } else { arg }
        })
    })
}

/// Checks one setting by itself, so that whatever is wrong with it is told of where it stands.
pub(super) fn check(setting: &Setting, command: &Command) -> Result<(), ConfigError> {
    let alone = command
        .clone()
        .mut_subcommand(RUN, |run| run.mut_args(|arg| arg.required(false).env(None::<&'static str>)));
    let words = with_settings(&["headcount".into(), RUN.into()], std::slice::from_ref(setting));
    match alone.try_get_matches_from(words) {
        Err(usage)
            // What it needs beside it, others may have said.
            if !matches!(usage.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict) =>
        {
            Err(ConfigError::BadValue { origin: setting.origin.clone(), reason: error::first_paragraph(&usage) })
        }
        _ => Ok(()),
    }
}

/// A command line with settings put in: flags before the `--`, the program behind it.
fn with_settings(words: &[OsString], settings: &[Setting]) -> Vec<OsString> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (before, behind) = words.split_at(end);
    let (program, flags): (Vec<_>, Vec<_>) = settings.iter().partition(|setting| setting.is_program());
    let mut completed = before.to_vec();
    completed.extend(flags.into_iter().flat_map(Setting::words));
    completed.extend_from_slice(behind);
    if behind.is_empty() && !program.is_empty() {
        completed.push(OsStr::new("--").to_owned());
    }
    completed.extend(program.into_iter().flat_map(|setting| setting.values.clone()));
    completed
}
