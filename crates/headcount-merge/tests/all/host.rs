//! A directory that processes share. All files are written by this process, which lives; the dead are copies.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headcount::Registry;
use headcount_merge::{Folder, Foreign};
use headcount_store::directory::Directory;

use crate::peer_file::file_bytes;

pub(crate) struct Host {
    folder: tempfile::TempDir,
    buried: Cell<usize>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), buried: Cell::new(0) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn directory(&self) -> Directory {
        Directory::open(self.path()).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.directory().list().unwrap().iter().map(|name| name.to_str().unwrap().to_owned()).collect()
    }

    /// A process that lives records something.
    pub(crate) fn live(&self, record: impl FnOnce(Registry)) {
        record(Registry::in_directory(self.path()).unwrap());
    }

    /// A process records something, and dies after all that died before.
    pub(crate) fn bury(&self, record: impl FnOnce(Registry)) {
        let written = tempfile::tempdir().unwrap();
        record(Registry::in_directory(written.path()).unwrap());
        self.take(written.path());
    }

    /// Buries copies of all files in a folder.
    pub(crate) fn take(&self, folder: &Path) {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let name = name.to_str().unwrap();
            let grave = match name.strip_suffix(".db") {
                Some(peer) if peer.starts_with("gauge_live") => continue,
                Some(peer) => self.peers_grave(peer),
                None => self.path().join(format!("dead-{}.hc", self.number())),
            };
            fs::copy(folder.join(name), grave).unwrap();
        }
    }

    /// A peer's file with these entries is there, and its process is dead.
    pub(crate) fn bury_peer(&self, name: &str, entries: &[(&str, f64)]) {
        self.bury_bytes(name, &file_bytes(entries.iter().map(|&(key, value)| (key, value, Some(1.5)))));
    }

    /// The same with any bytes.
    pub(crate) fn bury_bytes(&self, name: &str, bytes: &[u8]) {
        // The file appears at once, as a burial makes it.
        let hidden = self.path().join(".x");
        fs::write(&hidden, bytes).unwrap();
        fs::rename(hidden, self.peers_grave(name)).unwrap();
    }

    fn peers_grave(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.dead-{}.db", self.number()))
    }

    fn number(&self) -> usize {
        self.buried.replace(self.buried.get() + 1)
    }

    pub(crate) fn fold_with(&self, folder: &mut Folder) {
        while folder.step(&self.directory(), 1, Duration::ZERO).unwrap().is_more {}
    }

    /// Folds all that can be.
    pub(crate) fn fold(&self) {
        self.fold_with(&mut Folder::new(Foreign::Fold));
    }
}
