//! The floor: what a merge that is told everything would still have to do. It reads every cell once, adds it
//! to its sum, copies the fixed bytes of each line and formats the value. Files stay mapped, nothing is
//! listed or checked, and nobody is asked whether he lives.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;

use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;
use headcount_store::peer::{self, PeerFile};
use headcount_store::read::{Mapped, may_map};
use headcount_store::text::{Value, write_value};

/// Files whose values are where they were.
pub(crate) struct Floor {
    files: Vec<Values>,
    /// Each line of the exposition up to its value, and whether it has one.
    lines: Vec<(Vec<u8>, bool)>,
    integers: Vec<u64>,
    floats: Vec<f64>,
}

/// Where the values of a file are.
enum Values {
    /// Cells side by side: offset and length in bytes.
    Cells(Mapped, Vec<(usize, usize)>),
    /// Floats between other bytes: their offsets.
    Floats(Mapped, Vec<u32>),
}

const WORD: usize = 8;

impl Floor {
    pub(crate) fn of(directory: &Path) -> Self {
        let mut paths: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let open = |path: &Path| {
            let (file, bytes) = (File::open(path).unwrap(), std::fs::read(path).unwrap());
            let mapped = Mapped::new(&file).unwrap();
            if bytes.starts_with(b"HEADCNT\0") {
                Values::Cells(mapped, cells_of(&bytes))
            } else {
                let mut buffer = Vec::new();
                let used = peer::read(&file, &mut buffer).unwrap();
                let offsets =
                    PeerFile::new(used).unwrap().entries().map(|entry| u32::try_from(entry.offset).unwrap());
                Values::Floats(mapped, offsets.collect())
            }
        };
        assert!(may_map());
        let mut merger = Merger::default();
        let merged = merger.merge(&Directory::open(directory).unwrap()).unwrap();
        let text = merged.to_text(Buckets::Cumulative);
        let line = |line: &[u8]| match line.iter().rposition(|&byte| byte == b' ') {
            Some(at) if !line.starts_with(b"#") => (line[..=at].to_vec(), true),
            _ => (line.to_vec(), false),
        };
        Self {
            files: paths.iter().map(|path| open(path)).collect(),
            lines: text.split_inclusive(|&byte| byte == b'\n').map(line).collect(),
            integers: vec![0; 1 << 17],
            floats: vec![0.0; 1 << 17],
        }
    }

    pub(crate) fn scrape(&mut self) -> Vec<u8> {
        let Self { files, lines, integers, floats } = self;
        integers.fill(0);
        floats.fill(0.0);
        let mut at = 0;
        for file in files {
            match file {
                Values::Cells(mapped, parts) => {
                    let mut sums = integers.iter_mut();
                    for &(offset, len) in &*parts {
                        let cells = mapped.words(offset, len / WORD).unwrap();
                        cells.iter().zip(&mut sums).for_each(|(cell, sum)| {
                            *sum = sum.wrapping_add(cell.load(Ordering::Relaxed));
                        });
                    }
                }
                Values::Floats(mapped, offsets) => {
                    // The files of one process after the other, in the order of their kinds.
                    at = (at + offsets.len()) % (floats.len() / 2);
                    let words = mapped.words(0, mapped.end() / WORD).unwrap();
                    for (&offset, sum) in offsets.iter().zip(&mut floats[at..]) {
                        *sum += f64::from_bits(words[offset as usize / WORD].load(Ordering::Relaxed));
                    }
                }
            }
        }
        let mut out = Vec::with_capacity(lines.iter().map(|(line, _)| line.len() + 12).sum());
        for ((line, has_value), (integer, float)) in lines.iter().zip(integers.iter().zip(&*floats)) {
            out.extend_from_slice(line);
            if *has_value {
                // As long as those of the merge: four digits.
                let value = integer.wrapping_add(float.to_bits()) % 10_000;
                write_value(&mut out, Value::Integer(value));
                out.push(b'\n');
            }
        }
        out
    }
}

/// Where cells are, by the byte map in `docs/file-format.md`: of each extent as many as are in use.
fn cells_of(bytes: &[u8]) -> Vec<(usize, usize)> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    (0..u32_at(64) as usize)
        .map(|index| 256 + index * 16)
        .filter(|&at| matches!(bytes[at], 3 | 4))
        .map(|at| (u32_at(at + 12) as usize * 4096, u32_at(at + 8) as usize * 4096))
        .map(|(offset, len)| {
            let in_use = bytes[offset..offset + len].iter().rposition(|&byte| byte != 0);
            (offset, in_use.map_or(0, |last| last / WORD * WORD + WORD))
        })
        .collect()
}
