//! A family as it was written, sample by sample, and where its values stand in that.

use std::ops::Range;

use headcount_store::text::{Value, write_value};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) out: Vec<u8>,
    /// Where the samples of the last family begin in that.
    pub(super) head_end: usize,
    /// Where the values of its samples stand.
    pub(super) values: Vec<Range<usize>>,
}

impl Written {
    /// Appends to this.
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self { out, ..Self::default() }
    }

    /// The samples of a family follow.
    pub(super) fn end_head(&mut self) {
        self.head_end = self.out.len();
        self.values.clear();
    }

    /// Appends the value of a sample.
    pub(super) fn value(&mut self, value: Value) {
        let start = self.out.len();
        write_value(&mut self.out, value);
        self.values.push(start..self.out.len());
    }
}
