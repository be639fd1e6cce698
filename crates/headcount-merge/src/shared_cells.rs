//! The shared cells of a file, while they are taken over among those of all files.
//!
//! Most often all are copied at once, as they stand there. But the keys of native histograms' tables are shared cells, too,
//! and many times as many as all others: where there are such, only what is asked for is copied.

use crate::gauge::{Cell, GaugeCells};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SharedCells<'a> {
    /// So many were taken, of which the first is there now.
    Taken { start: usize, count: u32 },
    /// None was taken yet.
    Apart(&'a [Cell]),
}

/// Cells that are as far apart each, or of which so many side by side are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) first: u32,
    pub(crate) width: u32,
    pub(crate) stride: u32,
    pub(crate) len: u32,
}

/// Where they are now: as many as there were, from the first on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) stride: u32,
    pub(crate) len: u32,
}

impl<'a> SharedCells<'a> {
    /// Those of a file: all that are described, and perhaps keys of tables.
    pub(crate) fn of(cells: &'a [Cell], has_keys: bool, among: &mut GaugeCells) -> Self {
        if has_keys {
            return Self::Apart(cells);
        }
        let (start, count) = among.add_file(cells);
        Self::Taken { start, count }
    }

    /// Takes some, if that is yet to be done.
    pub(crate) fn take(self, wanted: Wanted, among: &mut GaugeCells) -> Found {
        let Wanted { first, width, stride, len } = wanted;
        let count = match self {
            Self::Taken { count, .. } => count,
            Self::Apart(cells) => u32::try_from(cells.len()).unwrap_or(u32::MAX),
        };
        // Those of which all cells are there.
        let room = count.saturating_add(1).saturating_sub(first.saturating_add(width));
        let len = len.min(room.div_ceil(stride));
        match self {
            Self::Taken { start, .. } => Found { start: start + first as usize, stride, len },
            Self::Apart(cells) => {
                let each = cells.get(first as usize..).unwrap_or_default().chunks(stride as usize);
                let each = each.take(len as usize).map(|cells| &cells[..width as usize]);
                Found { start: among.add_each(each), stride: width, len }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whether_all_are_taken_or_those_that_are_wanted_the_same_are_found(
            count in 0..60_u64,
            (first, width, more, len) in (0..40_u32, 1..6_u32, 0..9_u32, 1..20_u32),
        ) {
            let cells: Vec<Cell> = (0..count).map(|n| (1000 + n).to_le_bytes()).collect();
            let wanted = Wanted { first, width, stride: width + more, len };
            let taken = [false, true].map(|has_keys| {
                let mut among = GaugeCells::default();
                // Those of another file.
                among.add_file(&[[7; 8]; 3]);
                let Found { start, stride, len } = SharedCells::of(&cells, has_keys, &mut among).take(wanted, &mut among);
                let mut found = Vec::new();
                for at in 0..width as usize {
                    among.bring((start + at, stride as usize), 0..len, |n, cell| found.push((n, at, cell)));
                }
                found.sort_unstable();
                found
            });
            let all = (0..len).flat_map(|n| (0..width).map(move |at| (n, at)));
            let numbered = all.map(|(n, at)| (n, at as usize, u64::from(first + n * wanted.stride + at)));
            let is_whole = |&(n, ..): &(u32, usize, u64)| u64::from(first + n * wanted.stride + width) <= count;
            let expected: Vec<_> = numbered.filter(is_whole).map(|(n, at, cell)| (n, at, 1000 + cell)).collect();
            prop_assert_eq!(&taken[0], &expected);
            prop_assert_eq!(&taken[1], &expected);
        }
    }
}
