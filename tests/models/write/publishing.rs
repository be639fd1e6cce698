//! Files that one process writes while another reads: what is described is there, and so is what it needs.

use std::fs::File;

use loom::sync::{Arc, Mutex};

use super::file::FileWriter;
use super::memory::new_file;
use crate::format::family::{Family, Shape};
use crate::format::record::{HEAD_LEN, Record, Records, encode_series};
use crate::format::{BLOCK, CELL};
use crate::read::{Cells, Reach, Reader};
use crate::sync::{AtomicU64, Ordering, begin, spawn};
use store::metric::GaugeMode;
use store::process::{Origin, ProcessId};

pub(crate) const MODELS: &[(&str, fn())] = &[
    (
        "what a reader finds described is whole, and its extents are in the table, which continues",
        described_is_there,
    ),
    ("threads that register while the file grows lose nothing and share no cell", registered_by_many),
];

/// Bytes that no record finds room in.
const FILLER: u64 = 2 * HEAD_LEN as u64;
/// Cells of a block: as many shared ones there are before they grow.
const CELLS: u32 = 512;
const _: () = assert!(CELLS as u64 * CELL == BLOCK);

/// Encodes a family of gauges. Its help, of zeros, is as long as the rest of the record and `room` leave of a block.
fn family(name: &str, room: u64) -> Vec<u8> {
    let encode = |help: &str| {
        let shape = Shape::Gauge(GaugeMode::All);
        let mut record = Vec::new();
        let family = Family { name, help, unit: "", shape, labels: vec!["l"] };
        family.encode(&mut record).expect("it is short");
        record
    };
    let more = BLOCK.saturating_sub(room).saturating_sub(encode("").len() as u64);
    encode(&"\0".repeat(usize::try_from(more).expect("less than a block")))
}

/// A file with a family, whose descriptions have room for so many bytes more.
fn file_with_room(room: u64) -> (File, FileWriter) {
    let file = new_file();
    let own = file.try_clone().expect("another descriptor");
    let mut writer = FileWriter::new(own, ProcessId::default(), Origin::default()).expect("it is empty");
    assert_eq!(writer.append_family(&family("a", room)).expect("there is room"), 0);
    (file, writer)
}

/// Describes a gauge, as a store does, and sets it.
fn add_gauge(writer: &mut FileWriter, family: u32, value: &str) -> &'static AtomicU64 {
    writer.reserve_shared(1).expect("there is room");
    let (number, tail, at) = writer.next_shared().expect("there was room");
    let cell = tail.u64(at);
    let mut record = Vec::new();
    encode_series(family, number, None, None, &[value], &mut record).expect("it is short");
    writer.append(&record).expect("there is room");
    writer.take_shared(1);
    cell
}

/// What a reader has found.
struct Seen {
    records: Vec<u8>,
    cells: Cells,
}

impl Seen {
    /// Reads as all readers do.
    fn of(file: &File) -> Self {
        let reader = Reader::open(file).expect("a sound file");
        let (mut records, mut cells) = (Vec::new(), Cells::default());
        reader.read_records(&mut records).expect("extents that are in the table");
        reader.read_cells(&mut cells, &Reach::ALL).expect("extents that continue each other");
        assert_eq!(records.len() as u64, reader.header().records_used);
        Self { records, cells }
    }

    /// Values of labels and numbers of cells of all series. Each record is sound, and each cell in an extent.
    fn series(&self) -> Vec<(String, u32)> {
        let cells = self.cells.all_shared().len();
        let series = Records::new(&self.records).filter_map(|record| match record.expect("a sound record") {
            Record::Series { first_cell, values, .. } => Some((values.iter().collect(), first_cell)),
            _ => None,
        });
        series.inspect(|&(_, cell)| assert!((cell as usize) < cells, "a cell that is nowhere")).collect()
    }
}

fn described_is_there() {
    begin();
    let (file, mut writer) = file_with_room(FILLER);
    let writing = spawn(move || {
        // The descriptions grow, and then the shared cells, for which the table has to.
        assert_eq!(writer.append_family(&family("b", BLOCK)).expect("there is room"), 1);
        add_gauge(&mut writer, 1, "x");
    });
    let seen = Seen::of(&file);
    let found = seen.series();
    writing.join().expect("it ends");
    let all = Seen::of(&file);
    assert_eq!(all.series(), [("x".to_owned(), 0)]);
    assert!(all.records.starts_with(&seen.records), "what is published is final");
    assert!(all.series().starts_with(&found));
}

fn registered_by_many() {
    begin();
    let (file, mut writer) = file_with_room(FILLER);
    // The next has no room for what it says, the one after it none for its cell.
    writer.reserve_shared(CELLS - 1).expect("there is room");
    writer.take_shared(CELLS - 1);
    let writer = Arc::new(Mutex::new(writer));
    let add = |writer: &Mutex<FileWriter>, value, count| {
        let cell = add_gauge(&mut writer.lock().expect("no model panics and goes on"), 0, value);
        cell.store(count, Ordering::Relaxed);
    };
    let other = spawn({
        let writer = Arc::clone(&writer);
        move || add(&writer, "x", 1)
    });
    add(&writer, "y", 2);
    let seen = Seen::of(&file);
    let found = seen.series();
    other.join().expect("it ends");
    let all = Seen::of(&file);
    assert!(all.records.starts_with(&seen.records), "what is published is final");
    let mut series = all.series();
    assert!(series.starts_with(&found));
    assert_eq!([series[0].1, series[1].1], [CELLS - 1, CELLS], "side by side");
    series.sort();
    let values: Vec<_> =
        series.iter().map(|(value, cell)| (value.as_str(), all.cells.shared(*cell))).collect();
    assert_eq!(values, [("x", 1), ("y", 2)]);
}
