//! The configuration file: keys are flags, in TOML.
//!
//! A list is an array. A table is a list, too, where a flag takes `NAME=VALUE`; and the dots of a flag's name may
//! be those of TOML.

use std::ffi::OsString;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::flag::{Flags, Setting, Takes};
use super::{ConfigError, Origin};

/// What a file of this path and text says, in the order of its lines.
pub(super) fn read(path: &Path, text: &str, flags: &Flags) -> Result<Vec<Setting>, ConfigError> {
    let origin = |at: usize| {
        let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        Origin::File { path: path.to_owned(), line }
    };
    let parsed = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        origin: origin(error.span().map_or(0, |span| span.start)),
        reason: error.message().lines().collect::<Vec<_>>().join(", "),
    })?;
    let mut found = Vec::new();
    collect("", parsed.get_ref(), flags, &mut found)?;
    found.sort_by_key(|found| found.at);
    found.into_iter().map(|found| found.setting(origin, flags)).collect()
}

/// A key with its full name and its value.
struct Found<'a> {
    name: String,
    at: usize,
    value: &'a DeValue<'a>,
}

fn collect<'a>(
    prefix: &str,
    table: &'a DeTable<'a>,
    flags: &Flags,
    found: &mut Vec<Found<'a>>,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let below = format!("{name}.");
        match value.get_ref() {
            DeValue::Table(table) if flags.keys().any(|flag| flag.name.starts_with(&below)) => {
                collect(&below, table, flags, found)?;
            }
            value => found.push(Found { name, at: key.span().start, value }),
        }
    }
    Ok(())
}

impl Found<'_> {
    fn setting(self, origin: impl Fn(usize) -> Origin, flags: &Flags) -> Result<Setting, ConfigError> {
        let Self { name, at, value } = self;
        let origin = origin(at);
        let Some(flag) = flags.keys().find(|flag| flag.name == name) else {
            let nearest = flags.nearest(&name);
            return Err(ConfigError::UnknownKey { origin, key: name, nearest });
        };
        let values = match (flag.takes, value) {
            (Takes::Nothing, DeValue::Boolean(true)) => Some(vec!["".into()]),
            (Takes::Nothing, DeValue::Boolean(false)) => Some(Vec::new()),
            (Takes::Nothing, _) => None,
            (Takes::Many | Takes::Words, DeValue::Array(values)) => values.iter().map(scalar).collect(),
            (Takes::Many, DeValue::Table(pairs)) => pairs.iter().map(pair).collect(),
            (Takes::One | Takes::Many, value) => spelled(value).map(|value| vec![value]),
            (Takes::Words, _) => None,
        };
        let expected = match flag.takes {
            Takes::Nothing => "`true` or `false`",
            Takes::One => "a string or a number",
            Takes::Many => "an array of strings",
            Takes::Words => "an array: the program and its arguments",
        };
        let reason = || format!("`{name}` takes {expected}");
        match values {
            Some(values) => Ok(flag.set(values, origin)),
            None => Err(ConfigError::BadValue { origin, reason: reason() }),
        }
    }
}

fn scalar(value: &Spanned<DeValue<'_>>) -> Option<OsString> {
    spelled(value.get_ref())
}

fn pair((name, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)) -> Option<OsString> {
    let mut pair = OsString::from(format!("{}=", name.get_ref()));
    pair.push(scalar(value)?);
    Some(pair)
}

/// A string or number as it would be typed.
fn spelled(value: &DeValue<'_>) -> Option<OsString> {
    match value {
        DeValue::String(text) => Some(text.as_ref().into()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string().into())
        }
        DeValue::Float(number) => Some(number.as_str().into()),
        _ => None,
    }
}
