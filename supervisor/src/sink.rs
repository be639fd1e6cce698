//! Where lines go without ever holding up whoever writes them.
//!
//! Standard error and output may be pipes that nobody reads, and are shared with processes that count on writes
//! that wait: the stream must not be told not to. So a pipe or a terminal is opened once more, which makes a
//! stream of our own on the same pipe; a socket is asked each time. Where the pipe is another user's and cannot
//! be opened, it is looked whether there is room before each write: then only a neighbour that fills the pipe
//! in that very moment makes it wait.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};

/// A line up to this length (`PIPE_BUF`), its end included, is written as a whole or not at all, and not mixed
/// with others'.
pub const WHOLE: usize = 4096;

/// A stream for lines.
#[derive(Debug)]
pub struct Sink {
    file: File,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Ours, and it does not wait.
    Own,
    /// A socket, which can be asked not to wait.
    Socket,
    /// One that takes everything at once, such as a file, or that is looked at before.
    Shared,
}

impl Sink {
    /// The sink that a standard stream is.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors, or the stream is closed.
    pub fn of(stream: impl AsFd) -> io::Result<Self> {
        let file = File::from(stream.as_fd().try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Self { file, kind: Kind::Socket });
        }
        let may_wait = kind.is_fifo() || nix::unistd::isatty(&file).unwrap_or(false);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let open = || File::options().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
        Ok(match may_wait.then(open) {
            Some(Ok(file)) => Self { file, kind: Kind::Own },
            Some(Err(_)) | None => Self { file, kind: Kind::Shared },
        })
    }

    /// Writes what there is room for, and tells how many bytes that were.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and whatever else the system says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.kind {
            Kind::Own => (&self.file).write(bytes),
            Kind::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(self.file.as_raw_fd(), bytes, flags)?)
            }
            Kind::Shared => {
                let mut look = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut look, PollTimeout::ZERO)? == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                // More than this would wait even where there is room for some.
                (&self.file).write(&bytes[..bytes.len().min(WHOLE)])
            }
        }
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Fills it, and tells how much there was room for.
    fn fill(sink: &Sink) -> usize {
        let line = [b'x'; 1024];
        let mut total = 0;
        loop {
            match sink.write(&line) {
                Ok(written) => total += written,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                    return total;
                }
            }
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_takes_what_there_is_room_for_and_stays_as_it_was_for_others() {
        let (mut reader, writer) = io::pipe().unwrap();
        let sink = Sink::of(&writer).unwrap();
        assert!(matches!(sink.kind, Kind::Own));
        let filled = fill(&sink);
        assert!(filled >= WHOLE);
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        let mut some = vec![0; filled];
        reader.read_exact(&mut some).unwrap();
        assert_eq!(sink.write(b"again\n").unwrap(), 6);
    }

    #[test]
    fn what_cannot_be_opened_again_is_looked_at_before_each_write() {
        let (_reader, writer) = io::pipe().unwrap();
        let file = File::from(writer.as_fd().try_clone_to_owned().unwrap());
        assert!(fill(&Sink { file, kind: Kind::Shared }) >= WHOLE);
    }

    #[test]
    fn sockets_and_files_are_written_to() {
        let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
        let sink = Sink::of(&near).unwrap();
        assert!(matches!(sink.kind, Kind::Socket) && fill(&sink) >= WHOLE);
        let mut file = tempfile::tempfile().unwrap();
        let sink = Sink::of(&file).unwrap();
        assert_eq!(sink.write(b"line\n").unwrap(), 5);
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "line\n");
    }
}
