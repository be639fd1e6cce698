//! Addresses to listen on: `HOST:PORT`, `:PORT` for every interface, `unix:PATH`, or `unix:@NAME` for a name
//! without a file.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket with a file.
    Unix(PathBuf),
    /// A Unix socket with a name in the abstract namespace: it has no file, and anybody may connect.
    Abstract(String),
}

/// An address, and the name under which workers find its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAddress {
    /// The name; `http` if none was given.
    pub name: String,
    /// The address.
    pub address: Address,
}

/// The name of a socket that was given none.
pub const DEFAULT_NAME: &str = "http";

/// An address that cannot be listened on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither of the forms.
    #[error("expected HOST:PORT, :PORT, unix:PATH or unix:@NAME")]
    Form,
    /// A host that has no address.
    #[error("`{0}` has no address")]
    Host(String),
    /// A name that cannot be passed on.
    #[error("the name `{0}` of a socket must be letters, digits, `-` and `_`")]
    Name(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.strip_prefix('@') {
                Some("") => Err(AddressError::Form),
                Some(name) => Ok(Self::Abstract(name.to_owned())),
                None if path.is_empty() => Err(AddressError::Form),
                None => Ok(Self::Unix(path.into())),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::Form)?;
        let port: u16 = port.parse().map_err(|_| AddressError::Form)?;
        if host.is_empty() {
            // Every interface, of both versions where the system has both.
            return Ok(Self::Tcp((Ipv6Addr::UNSPECIFIED, port).into()));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let found = (bare, port).to_socket_addrs().ok().and_then(|mut found| found.next());
        found.map(Self::Tcp).ok_or_else(|| AddressError::Host(host.to_owned()))
    }
}

impl FromStr for NamedAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // A path may have a `=` in it, too.
        let named = text.split_once('=').filter(|(name, _)| !name.contains([':', '/']));
        let (name, address) = named.unwrap_or((DEFAULT_NAME, text));
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(legal) {
            return Err(AddressError::Name(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), address: address.parse()? })
    }
}

impl fmt::Display for NamedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood_and_printed_back() {
        let check = |text: &str, printed: &str| {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(printed.to_owned()));
        };
        check("127.0.0.1:80", "127.0.0.1:80");
        check("[::1]:80", "[::1]:80");
        check(":80", "[::]:80");
        check("unix:/run/x.sock", "unix:/run/x.sock");
        check("unix:@x", "unix:@x");
        for bad in ["", "80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "unix:", "unix:@"] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Form), "{bad}");
        }
    }

    #[test]
    fn a_name_may_stand_before_the_address() {
        let name = |text: &str| text.parse::<NamedAddress>().map(|named| named.name);
        assert_eq!(name("127.0.0.1:80"), Ok("http".into()));
        assert_eq!(name("admin=127.0.0.1:80"), Ok("admin".into()));
        assert_eq!(name("unix:/run/a=b"), Ok("http".into()));
        let printed = "unix:/run/a=b".parse::<NamedAddress>().unwrap().to_string();
        assert_eq!(printed.parse::<NamedAddress>(), "unix:/run/a=b".parse());
        assert_eq!(name("a b=:80"), Err(AddressError::Name("a b".into())));
        assert_eq!(name("=:80"), Err(AddressError::Name(String::new())));
    }
}
