//! Binding a TCP port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::Refusal;

pub(super) fn bind(address: SocketAddr) -> Result<Socket, Refusal> {
    let bound = match bind_exactly(address) {
        Err(error) if is_any_v6(address) && lacks_v6(&error) => {
            bind_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    };
    Ok(bound?)
}

/// Binds a port once more that was bound here with `SO_REUSEPORT`.
pub(super) fn join(address: SocketAddr) -> io::Result<Socket> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// `:PORT`.
fn is_any_v6(address: SocketAddr) -> bool {
    address.ip().is_unspecified() && address.is_ipv6()
}

/// Whether the system has no IPv6, or only the code for it.
fn lacks_v6(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL))
}

fn bind_exactly(address: SocketAddr) -> io::Result<Socket> {
    let socket = open(address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Connections of an earlier run that are still being closed do not matter.
    socket.set_reuse_address(true)?;
    Ok(socket)
}
