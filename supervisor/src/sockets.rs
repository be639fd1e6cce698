//! Listening sockets: bound once by the master, and open as long as it lives.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

use crate::address::{Address, NamedAddress};
use crate::handover::{self, HandoverError, SocketState};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 2048;

/// A listening socket. A Unix socket's file is removed when its owner drops it.
#[derive(Debug)]
pub struct Listener {
    /// The name under which workers find it.
    pub name: String,
    /// What was asked for.
    wanted: NamedAddress,
    /// Where it listens: with the port that the system chose, if it was 0.
    pub address: Address,
    socket: Socket,
    unlink: Option<PathBuf>,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system refused.
    #[error("cannot listen on {address}")]
    System {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody serves there.
    #[error("cannot listen on {address}: another process does")]
    Taken {
        /// The address.
        address: Address,
    },
    /// The path is a file of another kind.
    #[error("cannot listen on {address}: there is a file of that name which is no socket")]
    NoSocket {
        /// The address.
        address: Address,
    },
}

impl Listener {
    /// Binds and listens. The socket does not survive an exec unless it is passed on.
    ///
    /// # Errors
    ///
    /// When the address is taken, or the system refuses.
    pub fn bind(wanted: &NamedAddress) -> Result<Self, BindError> {
        let address = &wanted.address;
        let failed = |source| BindError::System { address: address.clone(), source };
        let (socket, unlink) = match address {
            Address::Tcp(tcp) => (bind_tcp(*tcp).map_err(failed)?, None),
            Address::Unix(path) => (bind_unix(path, address)?, Some(path.clone())),
        };
        socket.listen(BACKLOG).map_err(failed)?;
        let address = match address {
            Address::Tcp(tcp) => {
                let bound = socket.local_addr().ok().and_then(|bound| bound.as_socket());
                Address::Tcp(bound.unwrap_or(*tcp))
            }
            Address::Unix(_) => address.clone(),
        };
        Ok(Self { name: wanted.name.clone(), wanted: wanted.clone(), address, socket, unlink })
    }

    /// A socket that the supervisor before this one has bound.
    pub(crate) fn take_over(state: &SocketState) -> Result<Self, HandoverError> {
        let parse = |text: &str| text.parse::<NamedAddress>().map_err(io::Error::other);
        let what = "a listening socket";
        let failed = |source| HandoverError::Descriptor { what, source };
        let (wanted, bound) = (parse(&state.wanted).map_err(failed)?, parse(&state.bound).map_err(failed)?);
        let socket = Socket::from(handover::take(state.descriptor, what)?);
        Ok(Self {
            name: wanted.name.clone(),
            wanted,
            address: bound.address,
            socket,
            unlink: state.unlink.clone(),
        })
    }

    /// What the next supervisor has to know of it.
    pub(crate) fn state(&self) -> SocketState {
        let bound = NamedAddress { name: self.name.clone(), address: self.address.clone() };
        SocketState {
            wanted: self.wanted.to_string(),
            bound: bound.to_string(),
            descriptor: self.socket.as_raw_fd(),
            unlink: self.unlink.clone(),
        }
    }

    /// Gives the socket away; a Unix socket's file stays with whoever has the original.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone().map(OwnedFd::from)
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    match bind_tcp_exactly(address) {
        // `:PORT` on a system without IPv6.
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            bind_tcp_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn bind_tcp_exactly(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Connections of an earlier run that are still being closed do not matter.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(path: &Path, address: &Address) -> Result<Socket, BindError> {
    let failed = |source| BindError::System { address: address.clone(), source };
    match std::fs::symlink_metadata(path) {
        Err(_) => {}
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NoSocket { address: address.clone() });
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(BindError::Taken { address: address.clone() });
        }
        // Left behind by a process that was killed.
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
    }
    let bind = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        Ok(socket)
    };
    bind().map_err(failed)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.unlink {
            // There is nobody left to tell.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(address: &str) -> Result<Listener, BindError> {
        Listener::bind(&address.parse().unwrap())
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = bind("127.0.0.1:0").unwrap();
        let taken = first.address.to_string();
        assert!(!taken.ends_with(":0"));
        let refused = bind(&taken).unwrap_err().to_string();
        assert!(refused.contains(&taken), "{refused}");
    }

    #[test]
    fn a_unix_socket_is_taken_over_from_the_dead_only_and_removed_at_the_end() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("socket");
        let address = format!("unix:{}", path.display());
        let first = bind(&address).unwrap();
        assert!(matches!(bind(&address), Err(BindError::Taken { .. })));
        std::mem::forget(first.duplicate().unwrap());
        drop(first);
        assert!(!path.exists());
        // A socket whose process is gone leaves its file.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(bind(&address).unwrap());
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&address), Err(BindError::NoSocket { .. })));
    }
}
