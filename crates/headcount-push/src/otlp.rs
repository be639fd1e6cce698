//! A receiver of the OpenTelemetry protocol over HTTP, with bodies in Protocol Buffers.

use std::str::FromStr;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};

use crate::request::{Message, PushError, send};
use crate::url::Url;

/// Where it takes metrics, unless its address has a path.
const PATH: &str = "/v1/metrics";

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Where it is. Without a path, `/v1/metrics` is meant.
    pub url: Url,
    /// What else it is told, such as who is pushing.
    pub headers: Vec<Header>,
}

/// A header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

/// It is no header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected NAME=VALUE, as of a header")]
pub struct HeaderError;

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let (name, value) = text.split_once('=').ok_or(HeaderError)?;
        let name = name.parse().map_err(|_| HeaderError)?;
        let mut value: HeaderValue = value.parse().map_err(|_| HeaderError)?;
        // It may be a secret: it is shown nowhere.
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

impl Receiver {
    /// Exports a request. Tells what the receiver did not like of it, if it has taken only a part.
    ///
    /// # Errors
    ///
    /// When the receiver does not say within `timeout` that it has taken it. [`PushError::is_temporary`] says
    /// whether it is to be tried again.
    pub async fn export(&self, request: Bytes, timeout: Duration) -> Result<Option<String>, PushError> {
        let path = if self.url.path().is_empty() { PATH } else { "" };
        let message = Message {
            method: Method::POST,
            path,
            content_type: Some("application/x-protobuf"),
            headers: self
                .headers
                .iter()
                .map(|Header { name, value }| (name.clone(), value.clone()))
                .collect(),
            body: request,
        };
        Ok(complaint(&send(&self.url, message, timeout).await?))
    }
}

/// The `error_message` of an `ExportMetricsServiceResponse`, in its `partial_success`.
fn complaint(answer: &[u8]) -> Option<String> {
    let partial = field(answer, 1)?;
    let message = field(partial, 2).unwrap_or_default();
    Some(String::from_utf8_lossy(message).into_owned()).filter(|_| !partial.is_empty())
}

/// A field of a message that has bytes; others are passed over as far as they may come before it.
fn field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = varint(&mut message)?;
        match tag & 7 {
            0 => {}
            2 => {
                let (bytes, rest) = message.split_at_checked(usize::try_from(value).ok()?)?;
                if tag >> 3 == wanted {
                    return Some(bytes);
                }
                message = rest;
            }
            _ => return None,
        }
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_part_that_was_rejected_is_found() {
        assert_eq!(complaint(b""), None);
        assert_eq!(complaint(b"\x0a\x00"), None);
        assert_eq!(complaint(b"\x0a\x07\x08\x83\x01\x12\x02no"), Some("no".to_owned()));
        assert_eq!(complaint(b"\x0a\x02\x08\x03"), Some(String::new()));
        for cut in [&b"\x0a"[..], b"\x0a\x09x", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"<html>"] {
            assert_eq!(complaint(cut), None);
        }
    }

    #[test]
    fn a_header_has_a_name_and_a_value_that_is_not_shown() {
        let header: Header = "authorization=Bearer a=b".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_bytes()), ("authorization", &b"Bearer a=b"[..]));
        assert!(!format!("{header:?}").contains("Bearer"));
        for bad in ["x", "=x", "a b=x", "a=\n"] {
            assert_eq!(bad.parse::<Header>(), Err(HeaderError), "{bad}");
        }
    }
}
