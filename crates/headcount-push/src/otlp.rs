//! A receiver of the OpenTelemetry protocol over HTTP, with bodies in Protocol Buffers.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;

use crate::credentials::Credentials;
use crate::header::Header;
use crate::request::{Message, PushError, send};
use crate::url::Url;

/// Where it takes metrics, unless its address has a path.
const PATH: &str = "/v1/metrics";

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Where it is. Without a path, `/v1/metrics` is meant.
    pub url: Url,
    /// What else it is told.
    pub headers: Vec<Header>,
    /// Who is believed to be it, and how it is told who pushes.
    pub credentials: Credentials,
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
        Ok(complaint(&send((&self.url, &self.credentials), message, timeout).await?))
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
}
