//! For tests: counters, and what a scrape of them would get.

use headcount::{Counter, Registry};
use headcount_merge::{Exposition, Format, Merger, Pages};
use headcount_store::directory::Directory;
use tempfile::TempDir;

/// See the module.
pub(super) struct Counted {
    pub(super) counters: Vec<Counter>,
    directory: Directory,
    merger: Merger,
    _registry: Registry,
    _temporary: TempDir,
}

impl Counted {
    /// So many series of one family.
    pub(super) fn new(count: usize) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let registry = Registry::in_directory(temporary.path()).unwrap();
        let family = registry.counter_family("c", "", ["l"]).unwrap();
        let counters = (0..count).map(|n| family.with([&format!("label {n}")])).collect();
        let directory = Directory::open(temporary.path()).unwrap();
        Self { counters, directory, merger: Merger::default(), _registry: registry, _temporary: temporary }
    }

    /// What they are now.
    pub(super) fn pages(&mut self, format: Format) -> Pages {
        self.merger.merge(&self.directory).unwrap().pages(&Exposition::new(format))
    }
}
