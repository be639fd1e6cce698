//! A configuration, printed as the file that says the same.

use std::ffi::OsStr;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::Origin;
use super::flag::{Flag, Flags, Setting, Takes};

/// A line for each flag: its value, and where that comes from.
pub(super) fn to_toml(matches: &ArgMatches, flags: &Flags, settings: &[Setting]) -> String {
    let line = |flag: &Flag| {
        let values = matches.get_raw(&flag.id).into_iter().flatten();
        match value_of(flag, matches, values) {
            None => format!("# {} is not set\n", flag.name),
            Some(value) => format!("{} = {value}  # {}\n", flag.name, origin_of(flag, matches, settings)),
        }
    };
    flags.keys().map(line).collect()
}

fn value_of<'a>(
    flag: &Flag,
    matches: &ArgMatches,
    mut values: impl Iterator<Item = &'a OsStr>,
) -> Option<String> {
    match flag.takes {
        Takes::Nothing => Some(matches.get_flag(&flag.id).to_string()),
        Takes::One => values.next().map(|value| {
            let text = value.to_string_lossy();
            // As most people would write it.
            let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
            if is_number { text.into_owned() } else { quoted(&text) }
        }),
        Takes::Many | Takes::Words => {
            let values: Vec<_> = values.map(|value| quoted(&value.to_string_lossy())).collect();
            (!values.is_empty()).then(|| format!("[{}]", values.join(", ")))
        }
    }
}

fn origin_of(flag: &Flag, matches: &ArgMatches, settings: &[Setting]) -> String {
    if let Some(setting) = settings.iter().find(|setting| setting.id == flag.id) {
        return match &setting.origin {
            Origin::Variable(name) => name.clone(),
            Origin::File { path, .. } => path.display().to_string(),
        };
    }
    match (matches.value_source(&flag.id), &flag.variable) {
        (Some(ValueSource::CommandLine), _) => "command line".to_owned(),
        (Some(ValueSource::EnvVariable), Some(name)) => name.display().to_string(),
        _ => "default".to_owned(),
    }
}

/// A string of TOML. JSON escapes the same things in the same ways, but for one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
