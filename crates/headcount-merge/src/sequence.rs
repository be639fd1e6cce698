//! Which entries a peer's file has, one behind the other, and what becomes of them.
//!
//! Processes of one program write the same keys, most often in the same order: all such files share one sequence.

use std::ops::Range;

use headcount_store::metric::Kind;
use headcount_store::peer::{Client, Layout, START};

use crate::plan::Plan;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) kind: Kind,
    pub(crate) client: Client,
    pub(crate) entries: Entries,
    /// The families of its entries.
    pub(crate) families: Vec<u32>,
    /// The series of its entries that are summed.
    pub(crate) series: Vec<Range<u32>>,
    /// Where their values go.
    pub(crate) plan: Plan,
}

/// Entries, by their keys' numbers and where their values stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entries {
    pub(crate) layout: Layout,
    /// Where the last one ends, in bytes.
    pub(crate) end: usize,
    /// In two lists, as a merge that knows them needs the offsets only.
    pub(crate) keys: Vec<u32>,
    pub(crate) places: Vec<u32>,
}

impl Entries {
    /// Of most entries, in bytes.
    pub(crate) const LEN: usize = 128;

    /// None yet, with room for as many as there most often are in so many bytes.
    pub(crate) fn new(layout: Layout, bytes: usize) -> Self {
        let [keys, places] = [const { Vec::new() }; 2].map(|mut list: Vec<u32>| {
            list.reserve(bytes / Self::LEN);
            list
        });
        Self { layout, end: START, keys, places }
    }

    /// Adds the next one.
    pub(crate) fn push(&mut self, key: u32, value: usize) {
        self.keys.push(key);
        // How long a file is in use is a u32.
        self.places.push(u32::try_from(value).unwrap_or(u32::MAX));
        self.end = value + self.layout.value_len();
    }

    /// Adds those that follow.
    pub(crate) fn append(&mut self, more: &Self) {
        self.keys.extend(&more.keys);
        self.places.extend(&more.places);
        self.end = more.end;
    }
}
