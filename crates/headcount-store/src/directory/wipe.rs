//! Wiping: before a start, what earlier processes left is removed, and nothing else.
//!
//! Exactly the regular files whose names belong to a known format go. A directory that looks like a
//! mistake is refused as a whole, before anything is removed: a typing error in `--dir` must not cost
//! anybody a file.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Directory, FileName};

/// Why a directory is not wiped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The root directory.
    #[error("it is the root directory")]
    Root,
    /// The user's home.
    #[error("it is your home directory")]
    Home,
    /// There is source code in it.
    #[error("it looks like a source tree: it holds `{0}`")]
    SourceTree(&'static str),
    /// The last part of the path is a symbolic link.
    #[error("it is a symbolic link: name the directory itself")]
    Link,
    /// There are files in it that no metrics client writes.
    #[error("it holds files that are no metrics: {}", .0.join(", "))]
    Strangers(Vec<String>),
}

/// A directory was not wiped.
#[derive(Debug, thiserror::Error)]
pub enum WipeError {
    /// It looks like a mistake; nothing was removed.
    #[error("{} is not wiped: {mistake}. Use a directory that is empty or holds metrics only", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// What gave it away.
        mistake: Mistake,
    },
    /// A file could not be removed.
    #[error("cannot remove {}", path.display())]
    Io {
        /// The file, or the directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Any of these in a directory says that people work there.
const SOURCE_TREE: [&str; 10] = [
    ".git",
    ".hg",
    ".svn",
    "Cargo.toml",
    "pyproject.toml",
    "setup.py",
    "package.json",
    "Gemfile",
    "go.mod",
    "Makefile",
];

/// Strangers that are named in a refusal.
const NAMED: usize = 3;

impl Directory {
    /// Removes what earlier processes have left, and returns how many files that were.
    ///
    /// # Errors
    ///
    /// When the directory looks like a mistake (nothing is removed then), or a file cannot be removed.
    pub fn wipe(&self) -> Result<usize, WipeError> {
        let failed = |path: &Path, source| WipeError::Io { path: path.to_owned(), source };
        let names = self.list().map_err(|error| failed(self.path(), error))?;
        if let Some(mistake) = self.mistake(&names) {
            return Err(WipeError::Refused { path: self.path().to_owned(), mistake });
        }
        let mut removed = 0;
        for name in names.iter().filter(|name| self.owns(name) == Owns::File) {
            match unlinkat(self, name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) => removed += 1,
                Err(nix::errno::Errno::ENOENT) => {}
                Err(error) => return Err(failed(&self.path().join(name), error.into())),
            }
        }
        Ok(removed)
    }

    fn mistake(&self, names: &[OsString]) -> Option<Mistake> {
        if std::fs::symlink_metadata(self.path()).is_ok_and(|found| found.is_symlink()) {
            return Some(Mistake::Link);
        }
        if self.is_same_as(Path::new("/")) {
            return Some(Mistake::Root);
        }
        if std::env::home_dir().is_some_and(|home| self.is_same_as(&home)) {
            return Some(Mistake::Home);
        }
        if let Some(marker) = SOURCE_TREE.into_iter().find(|marker| names.iter().any(|name| name == marker)) {
            return Some(Mistake::SourceTree(marker));
        }
        let strangers: Vec<_> = names.iter().filter(|name| self.owns(name) == Owns::Nothing).collect();
        let more = strangers.len().saturating_sub(NAMED);
        let mut named: Vec<_> =
            strangers.iter().take(NAMED).map(|name| name.to_string_lossy().into_owned()).collect();
        if more > 0 {
            named.push(format!("and {more} more"));
        }
        (!named.is_empty()).then_some(Mistake::Strangers(named))
    }

    fn is_same_as(&self, path: &Path) -> bool {
        let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        matches!((self.path().metadata(), path.metadata()), (Ok(own), Ok(other)) if same(&own, &other))
    }

    fn owns(&self, name: &OsString) -> Owns {
        match name.to_str().map(FileName::parse) {
            Some(Ok(Some(FileName::Lock))) => Owns::Place,
            // The mount point of a file system has one, whoever uses it.
            Some(Ok(None)) if name == "lost+found" => Owns::Place,
            Some(Ok(Some(_))) if self.is_regular(name) => Owns::File,
            _ => Owns::Nothing,
        }
    }

    fn is_regular(&self, name: &OsString) -> bool {
        let found = fstatat(self, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG)
    }
}

/// What a name in the directory is to a known format.
#[derive(Clone, Copy, PartialEq)]
enum Owns {
    /// A file with metrics.
    File,
    /// Part of the place: left alone, and no reason to refuse.
    Place,
    /// Not of a known format.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], expected: Result<usize, Mistake>) {
        let temporary = tempfile::tempdir().unwrap();
        for name in files {
            std::fs::write(temporary.path().join(name), "").unwrap();
        }
        let directory = Directory::open(temporary.path()).unwrap();
        match (directory.wipe(), expected) {
            (Ok(removed), Ok(expected)) => assert_eq!(removed, expected),
            (Err(WipeError::Refused { mistake, .. }), Err(expected)) => {
                assert_eq!(mistake, expected);
                assert_eq!(directory.list().unwrap().len(), files.len(), "a refusal removes nothing");
            }
            (found, expected) => panic!("{files:?}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn exactly_the_files_of_known_formats_are_removed() {
        check(&[], Ok(0));
        check(&["headcount.lock"], Ok(0));
        let known = ["12-00c0ffee00c0ffee.hc", ".12-00c0ffee00c0ffee.hc.new", "dead-1.hc", "counter_1.db"];
        check(&[known.as_slice(), &["gauge_all_1-0.db", "headcount.lock"]].concat(), Ok(5));
    }

    #[test]
    fn a_directory_that_looks_like_a_mistake_is_refused_whole() {
        check(&["counter_1.db", "Cargo.toml"], Err(Mistake::SourceTree("Cargo.toml")));
        check(&["counter_1.db", "letter.txt"], Err(Mistake::Strangers(vec!["letter.txt".into()])));
        check(&["data.db"], Err(Mistake::Strangers(vec!["data.db".into()])));
        let many = Mistake::Strangers(["a", "b", "c", "and 2 more"].map(str::to_owned).into());
        check(&["a", "b", "c", "d", "e"], Err(many));
    }

    #[test]
    fn the_root_and_the_home_directory_are_refused() {
        let refusal = |path: &Path| match Directory::open(path).unwrap().wipe() {
            Err(WipeError::Refused { mistake, .. }) => mistake,
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(Path::new("/")), Mistake::Root);
        assert_eq!(refusal(Path::new("/tmp/..")), Mistake::Root);
        assert_eq!(refusal(&std::env::home_dir().unwrap()), Mistake::Home);
    }

    #[test]
    fn a_link_is_neither_followed_nor_taken_for_a_file() {
        let temporary = tempfile::tempdir().unwrap();
        let (target, link) = (temporary.path().join("metrics"), temporary.path().join("link"));
        std::fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let refused = Directory::open(&link).unwrap().wipe().unwrap_err();
        assert!(matches!(refused, WipeError::Refused { mistake: Mistake::Link, .. }));
        std::fs::write(temporary.path().join("precious"), "x").unwrap();
        std::os::unix::fs::symlink(temporary.path().join("precious"), target.join("counter_1.db")).unwrap();
        let refused = Directory::open(&target).unwrap().wipe().unwrap_err();
        assert!(matches!(refused, WipeError::Refused { mistake: Mistake::Strangers(_), .. }));
        assert!(temporary.path().join("precious").exists());
    }
}
