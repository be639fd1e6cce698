//! The flags that there are, as the command line itself lists them, and what is said for them elsewhere.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Command};

use super::{CONFIG, ConfigError, Origin, RUN};

/// The flags of `run`, and its program.
#[derive(Debug)]
pub(super) struct Flags {
    all: Vec<Flag>,
    command: Command,
}

/// A flag, or the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// What the command line calls it inside.
    pub(super) id: String,
    /// Its name: behind two dashes, or as a key.
    pub(super) name: String,
    pub(super) takes: Takes,
    /// The variable that it had before `HEADCOUNT_<FLAG>`.
    pub(super) variable: Option<OsString>,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: it is there or not.
    Nothing,
    One,
    /// One each time that it is given.
    Many,
    /// All words behind `--`.
    Words,
}

/// What is said for a flag elsewhere than on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) takes: Takes,
    /// For a flag that takes nothing: none if it is not to be there.
    pub(super) values: Vec<OsString>,
    pub(super) origin: Origin,
}

/// Flags that say what to do with a configuration, and are no part of it.
const NO_KEYS: [&str; 2] = [CONFIG, "check"];

impl Flags {
    pub(super) fn of(command: &Command) -> Self {
        let mut built = command.clone();
        built.build();
        let args = built.find_subcommand(RUN).into_iter().flat_map(Command::get_arguments);
        let flag = |arg: &clap::Arg| {
            let takes = match arg.get_action() {
                _ if arg.is_last_set() => Takes::Words,
                ArgAction::SetTrue => Takes::Nothing,
                ArgAction::Set => Takes::One,
                ArgAction::Append => Takes::Many,
                _ => return None,
            };
            let id = arg.get_id().to_string();
            let name = arg.get_long().map_or_else(|| id.clone(), str::to_owned);
            Some(Flag { id, name, takes, variable: arg.get_env().map(OsStr::to_owned) })
        };
        Self { all: args.filter_map(flag).collect(), command: command.clone() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flag> {
        self.all.iter()
    }

    /// Those that a file may set.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Flag> {
        self.all.iter().filter(|flag| !NO_KEYS.contains(&flag.id.as_str()))
    }

    /// The key that is most like `unknown`, if one is.
    pub(super) fn nearest(&self, unknown: &str) -> Option<String> {
        let words = ["headcount".to_owned(), RUN.to_owned(), format!("--{unknown}")];
        let usage = self.command.clone().try_get_matches_from(words).err()?;
        let Some(ContextValue::String(flag)) = usage.get(ContextKind::SuggestedArg) else { return None };
        let name = flag.trim_start_matches('-');
        self.keys().find(|flag| flag.name == name).map(|flag| flag.name.clone())
    }
}

impl Flag {
    /// `HEADCOUNT_<FLAG>`.
    fn own_variable(&self) -> String {
        format!("HEADCOUNT_{}", self.name.replace(['-', '.'], "_").to_uppercase())
    }

    pub(super) fn set(&self, values: Vec<OsString>, origin: Origin) -> Setting {
        Setting { id: self.id.clone(), name: self.name.clone(), takes: self.takes, values, origin }
    }
}

impl Setting {
    pub(super) fn is_program(&self) -> bool {
        self.takes == Takes::Words
    }

    /// The words that say the same on a command line.
    pub(super) fn words(&self) -> impl Iterator<Item = OsString> {
        self.values.iter().map(|value| {
            let mut word = OsString::from(format!("--{}", self.name));
            if self.takes != Takes::Nothing {
                word.push("=");
                word.push(value);
            }
            word
        })
    }
}

/// What the environment says for these flags. A list is separated by spaces. The program has no variable: words
/// may have spaces in them.
pub(super) fn from_variables<'a>(
    flags: impl Iterator<Item = &'a Flag>,
    variable: impl Fn(&str) -> Option<&'a OsStr>,
) -> Result<Vec<Setting>, ConfigError> {
    let setting = |flag: &Flag| {
        let name = flag.own_variable();
        let value = variable(&name)?;
        let origin = Origin::Variable(name);
        let values = match flag.takes {
            Takes::Words => return None,
            Takes::One => vec![value.to_owned()],
            Takes::Many => value.to_string_lossy().split_whitespace().map(OsString::from).collect(),
            Takes::Nothing => match value.to_str() {
                Some("1" | "true" | "yes" | "on") => vec!["".into()],
                Some("0" | "false" | "no" | "off") => Vec::new(),
                _ => {
                    let reason = format!("expected `true` or `false`, not `{}`", value.display());
                    return Some(Err(ConfigError::BadValue { origin, reason }));
                }
            },
        };
        Some(Ok(flag.set(values, origin)))
    };
    flags.filter_map(setting).collect()
}
