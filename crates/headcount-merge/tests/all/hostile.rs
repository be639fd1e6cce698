//! Files in which anything has happened to the bytes: they are read or refused, and whatever is shown is valid.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headcount_merge::{Exposition, Folder, Foreign, Format, Merger};
use headcount_store::cell::Life;
use headcount_store::directory::Directory;
use headcount_store::exponential::{Key, Scale, Schema};
use headcount_store::format::archive::{ArchiveBuilder, Summed};
use headcount_store::format::family::{Family, Native, Shape};
use headcount_store::read::Image;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::any_file::{Of, any_file, header};
use crate::every_format::check;
use crate::peer_file::file_bytes;

/// What happens to bytes.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Number(Index, u32),
    Truncate(Index),
    /// A part is put in another place.
    Splice {
        from: Index,
        len: usize,
        to: Index,
    },
}

fn any_damage() -> impl Strategy<Value = Damage> {
    // What the numbers of the format are, and what is just beyond.
    let number = prop_oneof![0..8_u32, 4090..4100_u32, Just(u32::MAX), Just(1 << 31), Just(u32::MAX - 7)];
    prop_oneof![
        4 => (any::<Index>(), 0..8_u32).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        4 => (any::<Index>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
        1 => any::<Index>().prop_map(Damage::Truncate),
        2 => (any::<Index>(), 1..64_usize, any::<Index>()).prop_map(|(from, len, to)| Damage::Splice { from, len, to }),
    ]
}

impl Damage {
    fn happen(&self, bytes: &mut Vec<u8>) {
        // Most of a file is blank, and nobody looks at it.
        let written: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
        let place = |index: &Index| written.get(index.index(written.len().max(1))).copied();
        match self {
            Self::Flip(at, bit) => place(at).into_iter().for_each(|at| bytes[at] ^= bit),
            Self::Number(at, number) => {
                let at = place(at).map_or(0, |at| at & !3);
                bytes.iter_mut().skip(at).zip(number.to_le_bytes()).for_each(|(byte, new)| *byte = new);
            }
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Splice { from, len, to } => {
                let (Some(from), Some(to)) = (place(from), place(to)) else { return };
                let part: Vec<_> = bytes[from..].iter().take(*len).copied().collect();
                bytes.iter_mut().skip(to).zip(part).for_each(|(byte, new)| *byte = new);
            }
        }
    }
}

/// Files of each kind, by their names.
fn any_files() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let key = |kind: &str| format!(r#"["{kind}", "{kind}_sum", {{"l": "x", "le": "1"}}, "Help."]"#);
    let peer = file_bytes([(key("a"), 1.0, Some(2.0)), (key("b"), f64::NAN, Some(3.0))]);
    let file = prop_oneof![
        4 => any_file(Of::Process).prop_map(|bytes| ("dead-0.hc", bytes)),
        4 => any_file(Of::Process).prop_map(|bytes| ("1-0000000000000001.hc", bytes)),
        4 => any_file(Of::Archive).prop_map(|bytes| ("archive-1.hc", bytes)),
        1 => Just(("histogram_1.db", peer.clone())),
        1 => Just(("gauge_mostrecent_1.db", peer)),
    ];
    prop::collection::vec(file, 1..4)
}

fn merge_and_check(merger: &mut Merger, directory: &Directory) {
    check(&merger.merge(directory).unwrap());
}

fn check_directory(path: &Path) {
    let directory = Directory::open(path).unwrap();
    let mut merger = Merger::default().keeping_files_open();
    merge_and_check(&mut merger, &directory);
    // What cannot be read is not folded, but left where it is.
    let _ = Folder::new(Foreign::Fold).step(&directory, 1, Duration::ZERO).unwrap();
    merge_and_check(&mut merger, &directory);
    merge_and_check(&mut Merger::default(), &directory);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_happens_to_the_bytes_of_files_every_format_stays_valid(
        files in any_files(),
        damages in prop::collection::vec((any::<Index>(), any_damage()), 0..6),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut files = files;
        for (file, damage) in &damages {
            let file = file.index(files.len());
            damage.happen(&mut files[file].1);
        }
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        check_directory(directory.path());
    }
}

/// A directory with one dead process's series without labels.
fn directory_with(shape: Shape, add: impl FnOnce(&mut ArchiveBuilder, u32)) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut file = ArchiveBuilder::default();
    let family = Family { name: "h", help: "", unit: "", shape, labels: vec![] };
    let number = file.family(&family).unwrap();
    add(&mut file, number);
    fs::write(directory.path().join("dead-0.hc"), file.encode(&header(Of::Process, 1), &[])).unwrap();
    directory
}

#[test]
fn losses_beyond_all_numbers_are_no_reason_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = ArchiveBuilder::default().encode(&header(Of::Archive, 1), &[]);
    for name in ["archive-0.hc", "archive-1.hc"] {
        fs::write(directory.path().join(name), &bytes).unwrap();
    }
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&Directory::open(directory.path()).unwrap()).unwrap();
    let (lost, folded) = (merged.report().lost, merged.report().files.folded);
    assert_eq!([lost.series, lost.updates, lost.exemplars, folded], [u64::MAX; 4]);
    check_directory(directory.path());
    assert!(
        !Image::read(&fs::File::open(directory.path().join("archive-1.hc")).unwrap()).unwrap().is_blank()
    );
}

#[test]
fn buckets_that_wrap_around_to_almost_the_same_float_are_no_histogram_in_openmetrics() {
    let directory = directory_with(Shape::Histogram { bounds: vec![1.0] }, |file, number| {
        let cells = [Summed::Float(1.0, 0.0), Summed::Integer(1 << 63), Summed::Integer(u64::MAX)];
        file.summed(number, &[], &cells, Life::default()).unwrap();
    });
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&Directory::open(directory.path()).unwrap()).unwrap();
    let text = String::from_utf8(merged.encode(&Exposition::new(Format::OpenMetrics))).unwrap();
    assert!(text.contains("# TYPE h_bucket unknown\n"), "{text}");
    check(&merged);
}

#[test]
fn buckets_of_a_native_histogram_wrap_around_where_opentelemetry_puts_them_together() {
    let scale = Scale { schema: Schema::MAX, zero_threshold: 0.0 };
    let shape = Shape::NativeHistogram(Native { scale, limit: 160, bounds: vec![] });
    let directory = directory_with(shape, |file, number| {
        let keys = [1, 2, 1 << 18].map(|index| Key { is_negative: false, index });
        let counts = [0, 0, u64::MAX, u64::MAX, 1].map(Summed::Integer);
        let cells = [&[Summed::Float(1.0, 0.0)][..], &counts].concat();
        file.table(number, &[], (Schema::MAX, &keys), &cells, Life::default()).unwrap();
    });
    check_directory(directory.path());
}
