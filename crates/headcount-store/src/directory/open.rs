//! Finding the directory, listing it, and opening what is in it without being led astray.
//!
//! Files are opened relative to the directory's descriptor, without following links and without
//! blocking, and used only if they are regular: a FIFO or a link cannot stop a scrape or lead it
//! elsewhere.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, FileTypeExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fstat};

use crate::error::FileError;
use crate::writers::is_local;

/// The directory that the environment names, as Python's client has it: `PROMETHEUS_MULTIPROC_DIR`, or
/// the same in lower case. An empty value counts as none.
#[must_use]
pub fn from_environment() -> Option<PathBuf> {
    ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"]
        .into_iter()
        .find_map(std::env::var_os)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// An open metrics directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    descriptor: OwnedFd,
    /// The device and the inode.
    identity: (u64, u64),
    is_local: bool,
}

/// A directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not exist, is something else, or may not be read.
    #[error("cannot open the directory {}", path.display())]
    Open {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be created.
    #[error("cannot create the directory {}", path.display())]
    Create {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Directory {
    /// Opens an existing directory.
    ///
    /// # Errors
    ///
    /// When it does not exist, is something else, or may not be read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error: Errno| OpenError::Open { path: path.to_owned(), source: error.into() };
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let descriptor = open(path, flags, Mode::empty()).map_err(failed)?;
        let status = fstat(&descriptor).map_err(failed)?;
        let (identity, is_local) = ((status.st_dev, status.st_ino), is_local(&descriptor));
        Ok(Self { path: path.to_owned(), descriptor, identity, is_local })
    }

    /// Opens a directory; creates it with mode 0700 if it is missing, and its parents as usual.
    ///
    /// # Errors
    ///
    /// When it can be neither opened nor created.
    pub fn open_or_create(path: &Path) -> Result<Self, OpenError> {
        use std::os::unix::fs::DirBuilderExt;
        let failed = |source| OpenError::Create { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Self::open(path),
        }
    }

    /// The path as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which directory it is, whatever its path: its device and its inode.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether this kernel sees all that happens to the directory and its files: no other one has them, and no other file
    /// system lies above.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// The names of everything in the directory, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<OsString>> {
        Ok(self.list_files()?.into_iter().map(|(name, _)| name).collect())
    }

    /// The names of everything in the directory, in the order of their bytes, and the inode that each stood for.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn list_files(&self) -> io::Result<Vec<(OsString, u64)>> {
        // Through the descriptor: the path may lead elsewhere by now.
        let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.descriptor));
        let listing = std::fs::read_dir(own).or_else(|_| std::fs::read_dir(&self.path))?;
        let file = |entry: std::fs::DirEntry| (entry.file_name(), entry.ino());
        let mut files = listing.map(|entry| entry.map(file)).collect::<io::Result<Vec<_>>>()?;
        files.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
        Ok(files)
    }

    /// Opens a file of the directory for reading, if it is a regular file.
    ///
    /// # Errors
    ///
    /// When it is anything else, is gone, or may not be read.
    pub fn open_file(&self, name: &std::ffi::OsStr) -> Result<File, FileError> {
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        check_regular(openat(&self.descriptor, name, flags, Mode::empty()))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Opens a file anywhere for reading, as [`Directory::open_file`] does.
///
/// # Errors
///
/// When it is no regular file, does not exist, or may not be read.
pub fn open_regular(path: &Path) -> Result<File, FileError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    check_regular(open(path, flags, Mode::empty()))
}

fn check_regular(opened: nix::Result<OwnedFd>) -> Result<File, FileError> {
    let file = File::from(opened.map_err(|error| match error {
        Errno::ENOENT => FileError::Vanished,
        Errno::ELOOP => FileError::NotRegular("a symbolic link"),
        Errno::ENXIO => FileError::NotRegular("a socket"),
        error => FileError::Unreadable(error.into()),
    })?);
    let kind = file.metadata().map_err(FileError::Unreadable)?.file_type();
    match kind {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(FileError::NotRegular("a directory")),
        kind if kind.is_fifo() => Err(FileError::NotRegular("a FIFO")),
        _ => Err(FileError::NotRegular("a device")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_missing_directory_is_created_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let directory = Directory::open_or_create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(directory.list().unwrap(), Vec::<OsString>::new());
        Directory::open_or_create(&path).unwrap();
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_blocks() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("nothing"), at("dangling")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        assert!(directory.open_file("file".as_ref()).is_ok());
        for name in ["dir", "link", "dangling", "fifo", "socket"] {
            assert_eq!(directory.open_file(name.as_ref()).unwrap_err().reason(), "not_regular", "{name}");
        }
        assert_eq!(directory.open_file("gone".as_ref()).unwrap_err().reason(), "vanished");
        assert_eq!(directory.list().unwrap(), ["dangling", "dir", "fifo", "file", "link", "socket"]);
    }
}
