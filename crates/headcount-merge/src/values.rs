//! The values of a peer's file, in the order of its entries, and when they were set.

use std::ops::Range;

use headcount_store::metric::Kind;
use headcount_store::peer::{Layout, Words};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Values {
    values: Vec<f64>,
    /// In seconds since 1970; empty if the file does not say, or nobody asks.
    times: Vec<f64>,
}

/// What of an entry is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needed {
    Value,
    ValueAndTime,
}

impl Needed {
    /// In files of this kind: a time decides only between gauges.
    pub(crate) fn of(kind: Kind, layout: Layout) -> Self {
        if kind == Kind::Gauge && layout == Layout::ValueAndTime { Self::ValueAndTime } else { Self::Value }
    }
}

impl Values {
    /// Reads those that stand at these offsets, one behind the other.
    pub(crate) fn read(&mut self, words: impl Words, places: &[u32], needed: Needed) {
        let float = |at: usize| f64::from_bits(words.word(at));
        self.values.extend(places.iter().map(|&at| float(at as usize)));
        if let Needed::ValueAndTime = needed {
            self.times.extend(places.iter().map(|&at| float(at as usize + 8)));
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
