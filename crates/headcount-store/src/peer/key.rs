//! Keys: what an entry of a peer's file is called.
//!
//! Python's is `["family", "sample", {"label": "value"}, "help"]`, Ruby's is
//! `["family","sample",["label"],["value"]]`. Both are JSON, and any spelling of it is accepted: two
//! keys that mean the same are the same series.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{self, Deserialize, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::plain;
use crate::error::FileError;

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Python's `prometheus_client`.
    Python,
    /// Ruby's `prometheus-client-mmap`; its histograms are stored cumulated.
    Ruby,
}

/// A decoded key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// Whose key it is.
    pub client: Client,
    /// The family's name.
    pub family: Cow<'a, str>,
    /// The sample's name: the family's, with what its type puts behind it.
    pub sample: Cow<'a, str>,
    /// The help text; Ruby's client stores none.
    pub help: Option<Cow<'a, str>>,
    /// Label names and values, by name; of a name that came twice, the last.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Key<'a> {
    /// Decodes the key of the entry at `offset`.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8, not JSON, or has not the four elements that a key has.
    pub fn decode(key: &'a [u8], offset: u64) -> Result<Self, FileError> {
        let text = std::str::from_utf8(key).map_err(|_| FileError::InvalidUtf8 { offset })?;
        plain::decode(text).map_or_else(|| Self::parse(text, offset), Ok)
    }

    /// The same of any spelling.
    pub(super) fn parse(text: &'a str, offset: u64) -> Result<Self, FileError> {
        let mut decoded: Self = serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => FileError::WrongElements { offset },
            _ => FileError::InvalidJson { offset },
        })?;
        // Stable, so that of equal names the last one stands last.
        decoded.labels.sort_by(|a, b| a.0.cmp(&b.0));
        decoded.labels.reverse();
        decoded.labels.dedup_by(|a, b| a.0 == b.0);
        decoded.labels.reverse();
        Ok(decoded)
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key of four elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Key<'de>, A::Error> {
        let four = || de::Error::invalid_length(0, &KeyVisitor);
        let Text(family) = seq.next_element()?.ok_or_else(four)?;
        let Text(sample) = seq.next_element()?.ok_or_else(four)?;
        let third: Third<'de> = seq.next_element()?.ok_or_else(four)?;
        let key = match third {
            Third::Labels(labels) => {
                let Text(help) = seq.next_element()?.ok_or_else(four)?;
                Key { client: Client::Python, family, sample, help: Some(help), labels }
            }
            Third::Names(names) => {
                let values: Vec<Text<'de>> = seq.next_element()?.ok_or_else(four)?;
                if names.len() != values.len() {
                    return Err(four());
                }
                let labels = names.into_iter().zip(values).map(|(name, value)| (name.0, value.0)).collect();
                Key { client: Client::Ruby, family, sample, help: None, labels }
            }
        };
        let mut more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        if more { Err(four()) } else { Ok(key) }
    }
}

/// The element in which the clients differ.
enum Third<'a> {
    Labels(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    Names(Vec<Text<'a>>),
}

impl<'de> Deserialize<'de> for Third<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ThirdVisitor)
    }
}

struct ThirdVisitor;

impl<'de> Visitor<'de> for ThirdVisitor {
    type Value = Third<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels with their values, or a list of label names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Third<'de>, A::Error> {
        let mut labels = Vec::new();
        while let Some((Text(name), Text(value))) = map.next_entry()? {
            labels.push((name, value));
        }
        Ok(Third::Labels(labels))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Third<'de>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element()? {
            names.push(name);
        }
        Ok(Third::Names(names))
    }
}

/// A text, borrowed where it has no escapes. Ruby's client leaves label values that are no strings bare.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a truth value or nothing")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(if truth { "true" } else { "false" }))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(key: &str) -> Result<Key<'_>, &'static str> {
        Key::decode(key.as_bytes(), 8).map_err(|error| error.reason())
    }

    #[test]
    fn keys_of_both_clients_are_read() {
        let python = decode(r#"["c", "c_total", {"b": "x", "a": "\u00e9\""}, "a help"]"#).unwrap();
        assert_eq!((python.client, &*python.family, &*python.sample), (Client::Python, "c", "c_total"));
        assert_eq!(python.help.as_deref(), Some("a help"));
        assert_eq!(python.labels, [("a".into(), "é\"".into()), ("b".into(), "x".into())]);
        let ruby = decode(r#"["h","h_bucket",["le","code","ok","gone"],["+Inf",403,true,null]]"#).unwrap();
        assert_eq!((ruby.client, ruby.help), (Client::Ruby, None));
        let labels = ["code=403", "gone=", "le=+Inf", "ok=true"];
        assert_eq!(ruby.labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>(), labels);
    }

    #[test]
    fn of_a_label_that_comes_twice_the_last_counts() {
        let key = decode(r#"["c", "c", {"a": "1", "b": "x", "a": "2"}, ""]"#).unwrap();
        assert_eq!(key.labels, [("a".into(), "2".into()), ("b".into(), "x".into())]);
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        assert_eq!(decode("[\"c\""), Err("invalid_json"));
        assert_eq!(decode("nonsense"), Err("invalid_json"));
        assert_eq!(decode("{}"), Err("wrong_elements"));
        assert_eq!(decode(r#"["c", "c", {}]"#), Err("wrong_elements"));
        assert_eq!(decode(r#"["c", "c", {}, "", 1]"#), Err("wrong_elements"));
        assert_eq!(decode(r#"["c", "c", [], ""]"#), Err("wrong_elements"));
        assert_eq!(decode(r#"["c", "c", ["a"], []]"#), Err("wrong_elements"));
        assert_eq!(decode(r#"["c", ["c"], {}, ""]"#), Err("wrong_elements"));
        assert_eq!(Key::decode(b"[\"\xff\"]", 8).unwrap_err().reason(), "invalid_utf8");
    }
}
