//! The grouping key: the labels under which a Pushgateway keeps what it was given, and which every series of it
//! gets. They stand in the path, as the Pushgateway's documentation says.

use std::fmt::Write as _;
use std::str::FromStr;

/// A label of the grouping key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Letters, digits and underscores.
    name: String,
    value: String,
}

/// It is no label of a grouping key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// There is no `=`.
    #[error("expected NAME=VALUE")]
    NoValue,
    /// The name is not one that every reader knows.
    #[error("a label's name has letters, digits and underscores, and begins with no digit")]
    Name,
    /// The name is one that is given elsewhere.
    #[error("the job is given by itself")]
    Job,
}

impl Label {
    /// The label with this name and value.
    ///
    /// # Errors
    ///
    /// When there cannot be a label of this name.
    pub fn new(name: &str, value: &str) -> Result<Self, LabelError> {
        let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.starts_with(is_letter) || !name.chars().all(|c| is_letter(c) || c.is_ascii_digit()) {
            return Err(LabelError::Name);
        }
        if name == "job" {
            return Err(LabelError::Job);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// Its name and its value.
    #[must_use]
    pub fn pair(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let (name, value) = text.split_once('=').ok_or(LabelError::NoValue)?;
        Self::new(name, value)
    }
}

/// A grouping key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The label `job`, which may not be empty.
    pub job: String,
    /// The other labels.
    pub labels: Vec<Label>,
}

impl Group {
    /// The path that stands for it: `/metrics/job/<job>/<name>/<value>…`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = "/metrics".to_owned();
        put(&mut path, "job", &self.job);
        self.labels.iter().for_each(|Label { name, value }| put(&mut path, name, value));
        path
    }
}

/// A value that would not be a part of a path as it is stands in Base64.
fn put(path: &mut String, name: &str, value: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.:".contains(&byte);
    let is_dots = value.bytes().all(|byte| byte == b'.');
    // An empty value is all dots, too.
    let _ = match value {
        "" => write!(path, "/{name}@base64/="),
        _ if !is_dots && value.bytes().all(is_plain) => write!(path, "/{name}/{value}"),
        _ => write!(path, "/{name}@base64/{}", base64(value.as_bytes())),
    };
}

/// Base64 of RFC 4648 for URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let digits = (0..=chunk.len()).map(|digit| DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]);
        text.extend(digits.map(char::from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_path_as_they_are_if_they_can() {
        let path = |job: &str, labels: &[&str]| {
            let labels = labels.iter().map(|label| label.parse().unwrap()).collect();
            Group { job: job.to_owned(), labels }.path()
        };
        assert_eq!(path("batch", &[]), "/metrics/job/batch");
        assert_eq!(path("a", &["instance=h-1:80", "x=1"]), "/metrics/job/a/instance/h-1:80/x/1");
        assert_eq!(path("a/b", &["path=/var/tmp"]), "/metrics/job@base64/YS9i/path@base64/L3Zhci90bXA");
        assert_eq!(path("a", &["empty=", "dots=.."]), "/metrics/job/a/empty@base64/=/dots@base64/Li4");
    }

    #[test]
    fn base64_is_as_in_the_standard() {
        for (bytes, text) in
            [("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("ÿÿ", "w7_Dvw")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn labels_have_names_that_every_reader_knows() {
        let check = |text: &str, expected| assert_eq!(text.parse::<Label>(), Err(expected), "{text}");
        check("instance", LabelError::NoValue);
        check("=x", LabelError::Name);
        check("1a=x", LabelError::Name);
        check("a.b=x", LabelError::Name);
        check("job=x", LabelError::Job);
    }
}
