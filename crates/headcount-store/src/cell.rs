//! What the eight bytes of a gauge's cell stand for, those of a state set, and those of a life cell.
//!
//! A gauge's cell holds the complement of its value's bits. New cells are all zeros, so one that was
//! never set is told from one that was set to 0: the complement of zero is a NaN that no arithmetic
//! yields. The cells of counters and histograms need no such thing: nothing counted is 0.
//!
//! A series that is summed has a *life cell*, which says since when it is and whether it has been removed. Cells that
//! count are never taken back: to remove is to hide. An info has nothing else.
//!
//! The cell of a state set has a bit for each state, so that a change of several states is one store, and one
//! that says that they were set.

/// The cell for a gauge that was set to `value`.
#[inline]
#[must_use]
pub fn encode_gauge(value: f64) -> u64 {
    let cell = !value.to_bits();
    // The one NaN whose complement is zero becomes the ordinary one.
    if cell == 0 { !f64::NAN.to_bits() } else { cell }
}

/// The value that a gauge was set to; `None` if it never was.
#[inline]
#[must_use]
pub fn decode_gauge(cell: u64) -> Option<f64> {
    (cell != 0).then(|| f64::from_bits(!cell))
}

/// What a life cell says of a series in one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// When the process began to count it, in milliseconds since 1970. 0 stands for when the file was created, as
    /// of a series that was there before a fork; in an archive, for an unknown time.
    pub created: u64,
    /// Whether the process has removed it.
    pub is_removed: bool,
}

/// In a life cell, the bit that says "removed".
pub const REMOVED: u64 = 1 << 63;

impl Life {
    /// The cell that says this.
    #[must_use]
    pub fn encode(self) -> u64 {
        (self.created & !REMOVED) | if self.is_removed { REMOVED } else { 0 }
    }

    /// What a cell says.
    #[must_use]
    pub fn decode(cell: u64) -> Self {
        Self { created: cell & !REMOVED, is_removed: cell & REMOVED != 0 }
    }
}

/// A state set has so many states at most: there is a bit for each, and one that says that they were set.
pub const MAX_STATES: usize = 63;

const STATES_ARE_SET: u64 = 1 << MAX_STATES;

/// The cell of a state set in which the states of these bits are on.
#[inline]
#[must_use]
pub fn encode_states(on: u64) -> u64 {
    on | STATES_ARE_SET
}

/// The bits of the states that are on; `None` if none was ever set.
#[inline]
#[must_use]
pub fn decode_states(cell: u64) -> Option<u64> {
    (cell & STATES_ARE_SET != 0).then_some(cell & !STATES_ARE_SET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_that_were_never_set_are_told_from_those_that_are_off() {
        assert_eq!(decode_states(0), None);
        for on in [0, 1, (1 << MAX_STATES) - 1] {
            assert_eq!(decode_states(encode_states(on)), Some(on));
        }
    }

    #[test]
    fn a_gauge_that_was_set_is_told_from_one_that_was_not() {
        assert_eq!(decode_gauge(0), None);
        for value in [0.0, -0.0, 1.5, -1e300, f64::INFINITY] {
            assert_eq!(decode_gauge(encode_gauge(value)).map(f64::to_bits), Some(value.to_bits()));
        }
        for nan in [f64::NAN, -f64::NAN, f64::from_bits(u64::MAX)] {
            assert!(decode_gauge(encode_gauge(nan)).is_some_and(f64::is_nan));
        }
    }

    #[test]
    fn a_life_cell_says_since_when_and_whether_removed() {
        for is_removed in [false, true] {
            for created in [0, 1_700_000_000_123, !REMOVED] {
                let life = Life { created, is_removed };
                assert_eq!(Life::decode(life.encode()), life);
            }
        }
        assert_eq!(Life::default().encode(), 0);
    }
}
