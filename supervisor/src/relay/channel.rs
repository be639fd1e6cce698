//! How a worker's pipes come to a relay that was forked before: descriptors over a pair of sockets.

use std::io::{self, IoSlice, IoSliceMut, PipeReader};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};

use crate::pool::Pid;
use crate::process::{close_in_child, own};

/// One end.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// What the relay is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A worker of this slot and PID prints into these pipes: standard output and error.
    Worker(u32, Pid, [OwnedFd; 2]),
    /// All is over.
    End,
    /// The master is dead.
    Orphaned,
}

/// What is sent when all is over. No message is empty: that would be the other end's death.
const END: &[u8] = b"end";

impl Channel {
    /// Both ends. Neither waits.
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Self(one), Self(other)))
    }

    /// Passes on a worker's pipes. Tells whether there was room.
    pub(super) fn pass(&self, slot: u32, pid: Pid, ends: &[PipeReader; 2]) -> io::Result<bool> {
        let message = [slot.to_ne_bytes(), pid.as_raw().to_ne_bytes()].concat();
        self.send(&message, &ends.each_ref().map(AsRawFd::as_raw_fd))
    }

    /// Says that all is over. Tells whether there was room.
    pub(super) fn end(&self) -> io::Result<bool> {
        self.send(END, &[])
    }

    fn send(&self, message: &[u8], descriptors: &[RawFd]) -> io::Result<bool> {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let control = if descriptors.is_empty() { &[] } else { rights.as_slice() };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(message)], control, flags, None) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::ETOOMANYREFS | Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message; `None` if none is waiting.
    pub(super) fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = [0; 8];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut control = nix::cmsg_space!([RawFd; 2]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let received: Vec<OwnedFd> = message
            .cmsgs()?
            .flat_map(|control| match control {
                ControlMessageOwned::ScmRights(descriptors) => descriptors,
                _ => Vec::new(),
            })
            .map(own)
            .collect();
        let len = message.bytes;
        let ([a, b, c, d, e, f, g, h], Ok(ends)) = (bytes, received.try_into()) else {
            return Ok(Some(if len == 0 { Message::Orphaned } else { Message::End }));
        };
        let (slot, pid) = (u32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h]));
        Ok(Some(Message::Worker(slot, Pid::from_raw(pid), ends)))
    }

    /// Closes the master's end, which the relay's own process has, too.
    pub(super) fn close_in_child(&self) {
        close_in_child([self.0.as_fd()]);
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn pipes_come_with_whose_they_are() {
        let (master, relay) = Channel::pair().unwrap();
        assert!(relay.receive().unwrap().is_none());
        let ((out, mut out_end), (err, mut err_end)) = (io::pipe().unwrap(), io::pipe().unwrap());
        assert!(master.pass(7, Pid::from_raw(4242), &[out, err]).unwrap());
        let Some(Message::Worker(7, pid, ends)) = relay.receive().unwrap() else { panic!("no worker") };
        assert_eq!(pid.as_raw(), 4242);
        out_end.write_all(b"out").unwrap();
        err_end.write_all(b"err").unwrap();
        drop((out_end, err_end));
        let texts = ends.map(|end| {
            let mut text = String::new();
            PipeReader::from(end).read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(texts, ["out", "err"]);
        assert!(master.end().unwrap());
        assert!(matches!(relay.receive().unwrap(), Some(Message::End)));
        drop(master);
        assert!(matches!(relay.receive().unwrap(), Some(Message::Orphaned)));
    }

    #[test]
    fn a_relay_that_does_not_listen_holds_nobody_up() {
        let (master, relay) = Channel::pair().unwrap();
        while master.end().unwrap() {}
        assert!(relay.receive().unwrap().is_some());
        drop(relay);
        assert!(master.end().is_err());
    }
}
