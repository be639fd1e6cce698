//! The values of a peer's file, in the order of its entries, and when they were set.

use std::ops::Range;

use headcount_store::metric::Kind;
use headcount_store::peer::{Layout, Words};

use crate::sequence::Entries;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Values {
    values: Vec<f64>,
    /// In seconds since 1970; empty if the file does not say, or nobody asks.
    times: Vec<f64>,
}

impl Values {
    /// Reads those of these entries of a file of this kind, behind what was read of it before.
    pub(crate) fn read(&mut self, words: impl Words, kind: Kind, Entries { layout, places, .. }: &Entries) {
        self.read_piece(words, 0, (kind, *layout), places);
    }

    /// Reads those that stand at these places, of a file of which the words are what begins at `start`.
    pub(crate) fn read_piece(
        &mut self,
        words: impl Words,
        start: usize,
        (kind, layout): (Kind, Layout),
        places: &[u32],
    ) {
        let float = |at: usize| f64::from_bits(words.word(at));
        self.values.extend(places.iter().map(|&at| float(at as usize - start)));
        // A time decides only between gauges.
        if kind == Kind::Gauge && layout == Layout::ValueAndTime {
            self.times.extend(places.iter().map(|&at| float(at as usize - start + 8)));
        }
    }

    /// The values of these entries.
    pub(crate) fn of(&self, entries: Range<usize>) -> &[f64] {
        &self.values[entries]
    }

    /// The values of these entries, and when they were set: at 0, if nobody knows.
    pub(crate) fn with_times(&self, entries: Range<usize>) -> impl Iterator<Item = (f64, f64)> {
        let times = self.times.get(entries.clone());
        let time = move |at: usize| times.map_or(0.0, |times| times[at]);
        self.values[entries].iter().enumerate().map(move |(at, &value)| (value, time(at)))
    }
}
