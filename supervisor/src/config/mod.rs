//! What else says what the command line of `run` does not: variables `HEADCOUNT_<FLAG>`, and a file.
//!
//! A flag goes before a variable, a variable before the file, the file before the default. `flag` knows which flags
//! there are, by asking the command line itself; `file` reads the file; in `source` what they say becomes words
//! of a command line, which is parsed as if it had been typed. So whatever is a flag is a variable and a key, with
//! the same rules, and `shown` prints it back as a file.

mod error;
mod file;
mod flag;
mod shown;
mod source;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, Origin};
pub use source::{Resolved, Source};

/// The subcommand that has a configuration.
const RUN: &str = "run";
/// The flag that names the file.
const CONFIG: &str = "config";
