//! What of expositions stays the same from one merge to the next.

use std::cell::RefCell;

use headcount_store::metric::GaugeMode;

use crate::conflict::{Conflict, exposed_families};
use crate::encode::Sheets;
use crate::index::Index;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Rendering {
    /// What it was made of: the version of the index, the mode of each family, and the series that are not shown.
    version: u64,
    modes: Vec<GaugeMode>,
    hidden: Vec<u32>,
    exposed: Vec<u32>,
    conflicts: Vec<Conflict>,
    /// What was written. A result is only looked at, and yet what is written of it is kept for the next.
    sheets: RefCell<Sheets>,
}

impl Rendering {
    /// Begins with another merge: makes again what is not of this index as it is. The index is sorted.
    pub(crate) fn refresh(&mut self, index: &Index, hidden: &[u32]) {
        let sheets = self.sheets.get_mut();
        sheets.begin();
        let modes = index.families().iter().map(|family| family.mode);
        let same = (self.version, &*self.hidden) == (index.version(), hidden);
        if same && self.modes.iter().copied().eq(modes.clone()) {
            return;
        }
        self.hidden = hidden.to_vec();
        self.version = index.version();
        self.modes.clear();
        self.modes.extend(modes);
        self.conflicts.clear();
        self.exposed = exposed_families(index, &mut self.conflicts);
        sheets.reset(&self.exposed, hidden, index);
    }

    /// The families that are exposed, by name.
    pub(crate) fn exposed(&self) -> &[u32] {
        &self.exposed
    }

    /// The families that are not.
    pub(crate) fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// What was written.
    pub(crate) fn sheets(&self) -> &RefCell<Sheets> {
        &self.sheets
    }
}
