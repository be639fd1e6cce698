//! What can be wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line is wrong, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{origin}: {reason}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has a key that is no flag.
    #[error("{origin}: there is no setting `{key}`{}", hint(nearest.as_ref()))]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// The key.
        key: String,
        /// The flag that was perhaps meant.
        nearest: Option<String>,
    },
    /// A value that its flag does not take.
    #[error("{origin}: {reason}")]
    BadValue {
        /// Where.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody says which program to run.
    #[error(
        "{} names no program, and neither does the command line: add `command = [\"./server\"]`, or end \
         with `-- ./server`",
        path.display()
    )]
    NoCommand {
        /// The file.
        path: PathBuf,
    },
}

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the environment, under this name.
    Variable(String),
    /// In the file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
        }
    }
}

fn hint(nearest: Option<&String>) -> String {
    match nearest {
        Some(nearest) => format!(": did you mean `{nearest}`?"),
        None => ": `headcount run --help` lists them".to_owned(),
    }
}

/// What a message of the command line says before it gives advice, in one line.
pub(super) fn first_paragraph(usage: &clap::Error) -> String {
    let rendered = usage.render().to_string();
    let lines = rendered.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let line = lines.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
