//! Binding a Unix socket: one with a file, or one with an abstract name.
//!
//! A file outlives its socket, and nothing tells whether somebody still listens there but to connect.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::holder::Holder;
use super::{ListenOptions, Refusal};

/// A socket's file, by what it was when it was made: another one of that name is not ours to remove.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // Whatever becomes of the working folder.
        let path = std::path::absolute(path)?;
        let found = std::fs::symlink_metadata(&path)?;
        Ok(Self { device: found.dev(), inode: found.ino(), path })
    }

    /// Removes it, unless somebody else has put another in its place. As long as the socket lives, no other
    /// file can get its number.
    pub(super) fn remove(&self) {
        let is_ours =
            Self::of(&self.path).is_ok_and(|found| (found.device, found.inode) == (self.device, self.inode));
        if is_ours {
            // There is nobody left to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

pub(super) fn bind(path: &Path, options: &ListenOptions) -> Result<(Socket, SocketFile), Refusal> {
    let address = SockAddr::unix(path)?;
    match std::fs::symlink_metadata(path) {
        Err(_) => {}
        Ok(found) if !found.file_type().is_socket() => return Err(Refusal::NoSocket),
        Ok(_) => match who_listens(&address)? {
            Some(holder) => return Err(Refusal::InUse(Some(holder))),
            // Left behind by a process that was killed.
            None => remove(path)?,
        },
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    options.access.restrict(&socket)?;
    socket.bind(&address)?;
    let file = SocketFile::of(path)?;
    if let Err(error) = options.access.grant(path) {
        file.remove();
        return Err(error.into());
    }
    Ok((socket, file))
}

pub(super) fn bind_abstract(name: &str) -> Result<Socket, Refusal> {
    let address = abstract_address(name)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(Refusal::InUse(who_listens(&address).ok().flatten()))
        }
        bound => Ok(bound.map(|()| socket)?),
    }
}

fn abstract_address(name: &str) -> io::Result<SockAddr> {
    // Checks its length.
    std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    SockAddr::unix(format!("\0{name}"))
}

/// Who listens at an address; `None` if nobody does.
fn who_listens(address: &SockAddr) -> io::Result<Option<Holder>> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A queue that is full must not hold this process up: it is somebody's.
    socket.set_nonblocking(true)?;
    match socket.connect(address) {
        Ok(()) => Ok(Some(Holder::of_peer(&socket))),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(None),
            Some(Errno::EAGAIN | Errno::EPROTOTYPE) => Ok(Some(Holder::Unknown)),
            _ => Err(error),
        },
    }
}

/// Removes a file that somebody else may have removed meanwhile.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
