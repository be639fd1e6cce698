//! The socket by which workers tell how they are: `NOTIFY_SOCKET` of the systemd protocol.
//!
//! Whoever can reach the path can write there; who wrote is told by the kernel, not by the message.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::unistd::Pid;

/// The receiving end.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

/// What a process has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Who said it, by the kernel's word.
    pub sender: Pid,
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `WATCHDOG=1`.
    pub alive: bool,
    /// `X_HEADCOUNT_EXPIRED=1`: it has done enough.
    pub expired: bool,
}

impl NotifySocket {
    /// Binds the socket at `path`, which must not exist.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// The socket of the supervisor before this one, whose workers know its path.
    pub(crate) fn take_over(descriptor: OwnedFd, path: PathBuf) -> Self {
        Self { socket: descriptor.into(), path }
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message; `None` if none is waiting.
    ///
    /// # Errors
    ///
    /// When the socket is broken.
    pub fn receive(&self) -> io::Result<Option<Notification>> {
        loop {
            let mut bytes = [0; 4096];
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let mut control = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let received = recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), flags);
            let message = match received {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let sender = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmCredentials(credentials) => {
                        Some(Pid::from_raw(credentials.pid()))
                    }
                    _ => None,
                })
            });
            let len = message.bytes;
            // A message without a sender is nobody's.
            if let Some(sender) = sender {
                return Ok(Some(parse(sender, &bytes[..len])));
            }
        }
    }
}

fn parse(sender: Pid, message: &[u8]) -> Notification {
    let says = |line: &[u8]| message.split(|&byte| byte == b'\n').any(|said| said == line);
    Notification {
        sender,
        ready: says(b"READY=1"),
        stopping: says(b"STOPPING=1"),
        alive: says(b"WATCHDOG=1"),
        expired: says(b"X_HEADCOUNT_EXPIRED=1"),
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_with_their_senders_pid() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("notify");
        let socket = NotifySocket::bind(&path).unwrap();
        assert_eq!(socket.receive().unwrap(), None);
        let worker = UnixDatagram::unbound().unwrap();
        let send = |message: &[u8]| worker.send_to(message, &path).unwrap();
        let received = || {
            let notification = socket.receive().unwrap().unwrap();
            assert_eq!(notification.sender, nix::unistd::getpid());
            (notification.ready, notification.stopping)
        };
        send(b"STATUS=working\nREADY=1\n");
        assert_eq!(received(), (true, false));
        send(b"STOPPING=1");
        assert_eq!(received(), (false, true));
        send(b"READY=10\nXREADY=1");
        assert_eq!(received(), (false, false));
        send(b"");
        assert_eq!(received(), (false, false));
    }
}
