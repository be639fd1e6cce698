//! Where to push: `http://HOST[:PORT][/PATH]`, or `https://`.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::{Authority, Scheme};

/// A receiver's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    is_encrypted: bool,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

/// It is no address at which anything could be pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL with a host.
    #[error("expected http://HOST:PORT")]
    Malformed,
    /// It is one of another protocol.
    #[error("only http:// and https:// can be pushed to")]
    Scheme,
    /// It has a user's name.
    #[error("a user's name and password are a header, `authorization`")]
    User,
    /// It has a part that begins with `?`.
    #[error("expected nothing behind the path")]
    Query,
}

impl Url {
    /// The host and the port, to connect to.
    #[must_use]
    pub fn place(&self) -> (&str, u16) {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        (host, self.authority.port_u16().unwrap_or(if self.is_encrypted { 443 } else { 80 }))
    }

    /// Whether it is spoken to by TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// What the header `Host` says.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.as_str()
    }

    /// The path in front of those that the receiver has; empty, or it begins with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let scheme = uri.scheme().ok_or(UrlError::Malformed)?;
        if ![Scheme::HTTP, Scheme::HTTPS].contains(scheme) {
            return Err(UrlError::Scheme);
        }
        let is_encrypted = *scheme == Scheme::HTTPS;
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        if uri.query().is_some() {
            return Err(UrlError::Query);
        }
        Ok(Self {
            is_encrypted,
            authority: authority.clone(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_perhaps_a_port_and_perhaps_a_path() {
        let check = |text: &str, host, port, path| {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.place(), url.path()), ((host, port), path), "{text}");
        };
        check("http://gateway", "gateway", 80, "");
        check("http://gateway:9091/", "gateway", 9091, "");
        check("http://10.0.0.1:9091/push/", "10.0.0.1", 9091, "/push");
        check("http://[::1]:9091", "::1", 9091, "");
        check("https://gateway", "gateway", 443, "");
        assert_eq!("https://gateway:1/a/".parse::<Url>().unwrap().to_string(), "https://gateway:1/a");
    }

    #[test]
    fn what_cannot_be_pushed_to_is_refused_with_the_reason() {
        let check = |text: &str, expected| assert_eq!(text.parse::<Url>(), Err(expected), "{text}");
        check("", UrlError::Malformed);
        check("gateway:9091", UrlError::Malformed);
        check("/path", UrlError::Malformed);
        check("ftp://gateway", UrlError::Scheme);
        check("http://me:secret@gateway", UrlError::User);
        check("http://gateway?x=1", UrlError::Query);
    }
}
