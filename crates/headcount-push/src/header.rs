//! Header lines that a receiver is to get beside those that every request has.

use std::str::FromStr;

use hyper::header::{HeaderName, HeaderValue};

/// A header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

/// It is no header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected NAME=VALUE, as of a header")]
pub struct HeaderError;

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let (name, value) = text.split_once('=').ok_or(HeaderError)?;
        let name = name.trim_end().parse().map_err(|_| HeaderError)?;
        let mut value: HeaderValue = value.trim_start().parse().map_err(|_| HeaderError)?;
        // It may be a secret: it is shown nowhere.
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_name_and_a_value_that_is_not_shown() {
        let header: Header = "authorization=Bearer a=b".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_bytes()), ("authorization", &b"Bearer a=b"[..]));
        assert!(!format!("{header:?}").contains("Bearer"));
        for bad in ["x", "=x", "a b=x", "a=b\nc=d"] {
            assert_eq!(bad.parse::<Header>(), Err(HeaderError), "{bad}");
        }
    }
}
