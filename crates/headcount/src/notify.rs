//! Telling a supervisor something without ever waiting for it.
//!
//! The socket that `NOTIFY_SOCKET` names takes a few messages until its owner reads them. Whoever must not stop
//! for a supervisor that has stopped, such as an event loop, sends what there is room for.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to whoever listens at `NOTIFY_SOCKET`.
///
/// ```
/// use headcount::notify::Notifier;
///
/// if let Some(notifier) = Notifier::from_environment()? {
///     notifier.send("STATUS=loading\n")?;
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// The way to this process's own supervisor, by the environment; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the variable holds no address of a socket, or the system gives none.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(&name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Some(Self { socket, address }))
    }

    /// Sends lines such as `WATCHDOG=1`. Tells whether there was room for them.
    ///
    /// # Errors
    ///
    /// When nobody listens there any more.
    pub fn send(&self, lines: &str) -> io::Result<bool> {
        match self.socket.send_to_addr(lines.as_bytes(), &self.address) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_does_not_listen_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let socket = UnixDatagram::unbound().unwrap();
        socket.set_nonblocking(true).unwrap();
        let notifier = Notifier { socket, address: SocketAddr::from_pathname(&path).unwrap() };
        let mut sent = 0;
        while notifier.send("WATCHDOG=1\n").unwrap() {
            sent += 1;
        }
        assert!(sent > 0);
        let mut buffer = [0; 64];
        let len = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"WATCHDOG=1\n");
        assert!(notifier.send("WATCHDOG=1\n").unwrap(), "there is room again");
        drop(listener);
        assert!(notifier.send("WATCHDOG=1\n").is_err());
    }
}
