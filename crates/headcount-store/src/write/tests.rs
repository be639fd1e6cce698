//! The writing side against the reading side, in one process; forks are tested with real processes in
//! the workspace's `tests`.

mod exemplars;
mod tables;

use std::path::Path;

use super::*;
use crate::cell::{Life, decode_gauge};
use crate::format::family::{Family, Shape};
use crate::format::record::Record;
use crate::metric::GaugeMode;
use crate::process::{Origin, ProcessId};
use crate::read::Image;

const NO_LABELS: &[&str] = &[];

fn counters(labels: &[&'static str]) -> Family<'static> {
    Family { name: "c", help: "Counts.", unit: "", shape: Shape::Counter, labels: labels.to_vec() }
}

fn private() -> Store {
    Registration::begin().create_private_store(OnFork::Follow).unwrap()
}

fn image(store: Store) -> Image {
    Registration::begin().image(store).unwrap()
}

/// The first cells of all series, in the order in which they were created.
fn first_cells(image: &Image) -> Vec<u32> {
    let series = |record| match record {
        Record::Series { first_cell, .. } => Some(first_cell),
        Record::Family(_) | Record::Process(_) => None,
    };
    image.records().filter_map(|record| series(record.unwrap())).collect()
}

fn only_file(directory: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn what_is_counted_and_set_is_read_back() {
    let store = private();
    let mut registration = Registration::begin();
    let family = registration.add_family(store, &counters(&["a"])).unwrap();
    let x = registration.add_summed(store, family, &["x"], 1).unwrap().0;
    let y = registration.add_summed(store, family, &["y"], 1).unwrap().0;
    let gauge = Family { shape: Shape::Gauge(GaugeMode::All), ..counters(&[]) };
    let family = registration.add_family(store, &gauge).unwrap();
    let set = registration.add_gauge(store, family, NO_LABELS).unwrap();
    let unset = registration.add_gauge(store, family, NO_LABELS).unwrap();
    drop(registration);
    x.add(0, 3);
    y.add(0, u64::MAX);
    set.set(1.0);
    set.add(-1.0);
    assert_eq!((set.get(), unset.get()), (Some(0.0), None));
    let image = image(store);
    let cells = first_cells(&image);
    assert_eq!((image.cells().sum(cells[0]), image.cells().sum(cells[1])), (3, u64::MAX));
    assert_eq!(decode_gauge(image.cells().shared(cells[2])), Some(0.0));
    assert_eq!(decode_gauge(image.cells().shared(cells[3])), None);
    assert!(!image.is_blank());
}

#[test]
fn a_file_appears_complete_and_locked_under_its_name() {
    let temporary = tempfile::tempdir().unwrap();
    let origin = Origin { slot: Some(3), generation: 1 };
    Registration::begin().create_store(temporary.path(), origin, OnFork::Follow).unwrap();
    let path = only_file(temporary.path());
    let file = std::fs::File::open(&path).unwrap();
    assert!(crate::directory::is_locked(&file));
    let image = Image::read(&file).unwrap();
    let header = image.header();
    assert_eq!((header.process, header.origin), (ProcessId::own(), origin));
    assert!(image.is_blank());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with(&format!("{}-", std::process::id())), "{name}");
}

#[test]
fn a_directory_that_is_missing_is_named_with_the_way_out() {
    let refused = Registration::begin()
        .create_store(Path::new("/nowhere/at/all"), Origin::default(), OnFork::Follow)
        .unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("/nowhere/at/all") && message.contains("headcount run"), "{message}");
}

#[test]
fn threads_that_come_and_go_lose_nothing() {
    let store = private();
    let mut registration = Registration::begin();
    let family = registration.add_family(store, &counters(&[])).unwrap();
    let cells = registration.add_summed(store, family, NO_LABELS, 2).unwrap().0;
    drop(registration);
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| cells.observe(1, 1, 0.5)));
            }
        });
    }
    let image = image(store);
    let first = first_cells(&image)[0];
    assert_eq!((image.cells().sum(first + 1), image.cells().sum_f64(first)), (160_000, 80_000.0));
}

#[test]
fn a_thread_local_that_counts_while_it_is_dropped_is_counted() {
    struct CountsWhenDropped(SumCells);
    impl Drop for CountsWhenDropped {
        fn drop(&mut self) {
            self.0.add(0, 1);
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<CountsWhenDropped>> = const { std::cell::RefCell::new(None) });
    let store = private();
    let mut registration = Registration::begin();
    let family = registration.add_family(store, &counters(&[])).unwrap();
    let cells = registration.add_summed(store, family, NO_LABELS, 1).unwrap().0;
    drop(registration);
    for counts_first in [true, false] {
        let count = move || {
            if counts_first {
                cells.add(0, 1);
            }
            LAST.with_borrow_mut(|last| *last = Some(CountsWhenDropped(cells)));
            if !counts_first {
                cells.add(0, 1);
            }
        };
        std::thread::scope(|scope| scope.spawn(count).join().unwrap());
    }
    let image = image(store);
    assert_eq!(image.cells().sum(first_cells(&image)[0]), 4);
}

#[test]
fn a_file_grows_without_moving_a_cell() {
    let store = private();
    let early = {
        let mut registration = Registration::begin();
        let family = registration.add_family(store, &counters(&["n"])).unwrap();
        registration.add_summed(store, family, &["first"], 1).unwrap().0
    };
    early.add(0, 1);
    let mut all = vec![early];
    let long = "x".repeat(500);
    for n in 0..20_000 {
        let mut registration = Registration::begin();
        all.push(registration.add_summed(store, 0, &[&format!("{long}{n}")], 1).unwrap().0);
        drop(registration);
        early.add(0, 1);
    }
    all.iter().for_each(|cells| cells.add(0, 1));
    let image = image(store);
    let cells = first_cells(&image);
    assert_eq!(cells.len(), 20_001);
    assert_eq!(image.cells().sum(cells[0]), 20_002);
    assert!(cells[1..].iter().all(|&cell| image.cells().sum(cell) == 1));
}

#[test]
fn stores_take_turns_in_the_threads_cells() {
    let stores: Vec<_> = (0..3).map(|_| private()).collect();
    let mut handles = Vec::new();
    for round in 0..1500_u64 {
        for (&store, number) in stores.iter().zip(1..) {
            let mut registration = Registration::begin();
            if round == 0 {
                registration.add_family(store, &counters(&["n"])).unwrap();
            }
            let cells = registration.add_summed(store, 0, &[&round.to_string()], 3).unwrap().0;
            drop(registration);
            cells.add(2, number * round);
            handles.push(cells);
        }
    }
    std::thread::scope(|scope| {
        scope.spawn(|| handles.iter().for_each(|cells| cells.add(2, 1)));
    });
    for (&store, number) in stores.iter().zip(1..) {
        let image = image(store);
        let cells = first_cells(&image);
        assert_eq!(cells.len(), 1500);
        for (&cell, round) in cells.iter().zip(0..) {
            assert_eq!(image.cells().sum(cell + 2), number * round + 1);
        }
    }
}

#[test]
fn more_extents_than_the_first_block_lists_are_found() {
    let store = private();
    let mut registration = Registration::begin();
    let family = registration.add_family(store, &counters(&[])).unwrap();
    let cells = registration.add_summed(store, family, NO_LABELS, 1).unwrap().0;
    drop(registration);
    // Each thread that lives at the same time needs an extent of its own.
    let barrier = std::sync::Barrier::new(600);
    std::thread::scope(|scope| {
        for _ in 0..600 {
            scope.spawn(|| {
                cells.add(0, 1);
                barrier.wait();
            });
        }
    });
    let image = image(store);
    assert_eq!(image.cells().sum(first_cells(&image)[0]), 600);
    assert!(image.cells().slabs().count() >= 600);
}

#[test]
fn updates_of_a_series_that_could_not_be_created_are_counted_as_lost() {
    let store = private();
    let cells = store.lost_cells();
    cells.add(0, 5);
    cells.observe(7, 1, 1.0);
    std::thread::scope(|scope| {
        scope.spawn(|| cells.add_f64(0, 1.0));
    });
    let mut registration = Registration::begin();
    let long = "x".repeat(1 << 20);
    registration.add_family(store, &counters(&["a"])).unwrap();
    assert!(matches!(registration.add_summed(store, 0, &[&long], 1), Err(SpaceError::TooLong(_))));
    drop(registration);
    let image = image(store);
    let header = image.header();
    assert_eq!((header.lost_updates, header.lost_series), (3, 1));
}

/// The offsets are those of `docs/file-format.md`, written out once more.
#[test]
fn a_file_has_the_bytes_that_the_byte_map_says() {
    let temporary = tempfile::tempdir().unwrap();
    let mut registration = Registration::begin();
    let origin = Origin { slot: Some(3), generation: 7 };
    let store = registration.create_store(temporary.path(), origin, OnFork::Leave).unwrap();
    let histogram = Family {
        name: "h",
        help: "é",
        unit: "s",
        shape: Shape::Histogram { bounds: vec![0.5] },
        labels: vec!["l"],
    };
    let number = registration.add_family(store, &histogram).unwrap();
    let (cells, life) = registration.add_summed(store, number, &["x"], 3).unwrap();
    cells.observe(1, 1, 0.25);
    registration.set_removed(store, life, true);
    let gauge = Family { shape: Shape::Gauge(GaugeMode::LiveMostRecent), ..counters(&[]) };
    let number = registration.add_family(store, &gauge).unwrap();
    registration.add_gauge(store, number, NO_LABELS).unwrap().set(2.0);
    drop(registration);

    let bytes = std::fs::read(only_file(temporary.path())).unwrap();
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(&bytes[..8], b"HEADCNT\0");
    assert_eq!([8, 12, 16, 20].map(u32_at), [1, 256, std::process::id(), 3]);
    assert_eq!(u64_at(24), 7);
    let created = u64_at(48) / 1_000_000;
    assert!([32, 40, 48].map(u64_at).iter().all(|&known| known > 0));

    let extents: Vec<_> = (0..u32_at(64) as usize).map(|index| 256 + index * 16).collect();
    let offset = |kind: u8| {
        let found = *extents.iter().find(|&&at| bytes[at] == kind).unwrap();
        assert_eq!(u32_at(found + 4), 0, "the first of its content");
        u32_at(found + 12) as usize * 4096
    };
    let mut records = Vec::new();
    // Head, shape and mode, labels and bounds, the bound, then name, help, unit and label.
    records.extend(b"\x25\0\0\0\x01\0\0\0\x04\0\x01\0\x01\0\0\0");
    records.extend(0.5_f64.to_le_bytes());
    records.extend("\x01\0\0\0h\x02\0\0\0é\x01\0\0\0s\x01\0\0\0l".bytes());
    records.resize(records.len().next_multiple_of(8), 0);
    // Family 0, first cell, life cell, the length of the value, the value.
    let series = records.len();
    records.extend(b"\x11\0\0\0\x02\0\0\0\0\0\0\0????\0\0\0\0\x01\0\0\0x\0\0\0\0\0\0\0");
    let described = &bytes[offset(2)..];
    let first_cell = u32::from_le_bytes(described[series + 12..series + 16].try_into().unwrap()) as usize;
    records[series + 12..series + 16].copy_from_slice(&described[series + 12..series + 16]);
    assert_eq!(described[..records.len()], records);
    assert_eq!(described[records.len() + 8..][..2], [3, 9], "a livemostrecent gauge");
    assert!(u64_at(72) > records.len() as u64);

    let cell = |at: usize| u64_at(offset(4) + (first_cell + at) * 8);
    assert_eq!([cell(0), cell(1), cell(2)], [0.25_f64.to_bits(), 1, 0]);
    let shared = |at: usize| u64_at(offset(3) + at * 8);
    let life = Life::decode(shared(0));
    assert!(life.is_removed && (created..created + 60_000).contains(&life.created), "the histogram's");
    assert_eq!(shared(1), !2.0_f64.to_bits());
}
