//! The floor: what a merge that is told everything would still have to do. It reads every cell once, adds it
//! to its sum, copies the fixed bytes of each line and formats the value. Files stay open, nothing is
//! listed or checked, and nobody is asked whether he lives.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;
use headcount_store::peer::{self, PeerFile};
use headcount_store::text::{Value, write_value};

/// Files whose values are where they were.
pub(crate) struct Floor {
    files: Vec<Values>,
    /// Each line of the exposition up to its value, and whether it has one.
    lines: Vec<(Vec<u8>, bool)>,
    buffer: Vec<u8>,
    integers: Vec<u64>,
    floats: Vec<f64>,
}

/// Where the values of a file are.
enum Values {
    /// Cells side by side: offset and length in bytes.
    Cells(File, Vec<(u64, usize)>),
    /// Floats between other bytes: the length that is in use, and offsets.
    Floats(File, usize, Vec<usize>),
}

const PART: usize = 64 * 1024;

impl Floor {
    pub(crate) fn of(directory: &Path) -> Self {
        let mut paths: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let open = |path: &Path| {
            let (file, bytes) = (File::open(path).unwrap(), std::fs::read(path).unwrap());
            if bytes.starts_with(b"HEADCNT\0") {
                Values::Cells(file, cells_of(&bytes))
            } else {
                let mut buffer = Vec::new();
                let used = peer::read(&file, &mut buffer).unwrap();
                let offsets = PeerFile::new(used)
                    .unwrap()
                    .entries()
                    .map(|entry| usize::try_from(entry.offset).unwrap());
                let (used, offsets) = (used.len(), offsets.collect());
                Values::Floats(file, used, offsets)
            }
        };
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
            buffer: vec![0; 1 << 20],
            integers: vec![0; 1 << 17],
            floats: vec![0.0; 1 << 17],
        }
    }

    pub(crate) fn scrape(&mut self) -> Vec<u8> {
        let Self { files, lines, buffer, integers, floats } = self;
        integers.fill(0);
        floats.fill(0.0);
        let mut at = 0;
        for file in files {
            match file {
                Values::Cells(file, parts) => {
                    let mut sums = integers.iter_mut();
                    for &(offset, len) in &*parts {
                        file.read_exact_at(&mut buffer[..len], offset).unwrap();
                        let cells = buffer[..len].chunks_exact(8).zip(&mut sums);
                        cells.for_each(|(cell, sum)| {
                            *sum = sum.wrapping_add(u64::from_le_bytes(cell.try_into().unwrap()));
                        });
                    }
                }
                Values::Floats(file, used, offsets) => {
                    // The files of one process after the other, in the order of their kinds.
                    at = (at + offsets.len()) % (floats.len() / 2);
                    let (mut start, mut end) = (0, 0);
                    for (&offset, sum) in offsets.iter().zip(&mut floats[at..]) {
                        if offset + 16 > end {
                            (start, end) = (offset, (offset + PART).min(*used));
                            file.read_exact_at(&mut buffer[..end - start], start as u64).unwrap();
                        }
                        let value = &buffer[offset - start..][..8];
                        *sum += f64::from_le_bytes(value.try_into().unwrap());
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

/// The extents with cells, by the byte map in `docs/file-format.md`.
fn cells_of(bytes: &[u8]) -> Vec<(u64, usize)> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    (0..u32_at(64) as usize)
        .map(|index| 256 + index * 16)
        .filter(|&at| matches!(bytes[at], 3 | 4))
        .map(|at| (u64::from(u32_at(at + 12)) * 4096, u32_at(at + 8) as usize * 4096))
        .collect()
}
