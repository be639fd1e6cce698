//! Tables of a native histogram, in which threads take places, and which a coarser one follows.

use std::sync::atomic::AtomicBool;

use loom::sync::Arc;

use super::slab::SumCells;
use super::state::slabs;
use super::table::TableCells;
use crate::exponential::{Key, Scale, Schema};
use crate::format::family::Native;
use crate::native_table::Table;
use crate::registration::Lock;
use crate::sync::{AtomicU64, Ordering, begin, spawn};

pub(crate) const MODELS: &[(&str, fn())] = &[
    ("threads that take places in a table have one place for each bucket, and lose nothing", same_places),
    ("of threads whose table is full, one has a coarser one follow, and nothing is lost", followed),
    ("who reads a table finds what is counted under one key for ever", read_amid_observations),
];

/// Places of a table.
const PLACES: u32 = 2;
/// Summed cells of a table: the sum, two for what is in no bucket, and those of the places.
const CELLS: u32 = Native::CLASSIC + PLACES;

type Keys = &'static [AtomicU64];

/// A series, as a process has it.
struct Series {
    lock: Lock,
    first: Table,
    /// The keys of the first table, and of the one that may follow it: loom has to know of them before they are shared.
    keys: [Keys; 2],
    limit: usize,
    /// Of the model, which nobody under test sees.
    is_followed: AtomicBool,
}

impl Series {
    fn new(limit: usize) -> Arc<Self> {
        begin();
        let keys = [0, 1].map(|_| {
            let keys: Vec<_> = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
            &*keys.leak()
        });
        let scale = Scale { schema: Schema::new(1).expect("a schema"), zero_threshold: 0.0 };
        let first = Table::new(scale, cells(keys[0], 0));
        Arc::new(Self { lock: Lock::default(), first, keys, limit, is_followed: AtomicBool::new(false) })
    }

    /// Counts a value, as a native histogram does.
    fn observe(&self, value: f64) {
        let table = self.first.newest();
        let (table, cell) = match table.find(value) {
            Some(cell) => (table, cell),
            None => table.take(value, self.limit, &mut |full| self.coarser(full)).expect("there is space"),
        };
        table.cells().observe(cell, 1, value);
    }

    fn coarser<'a>(&'a self, table: &'a Table) -> Option<&'a Table> {
        table.follow(&mut self.lock.registration(), |_, _| {
            assert!(!self.is_followed.swap(true, Ordering::Relaxed), "no model has a third one");
            Some(cells(self.keys[1], CELLS))
        })
    }

    /// What a reader finds in a table: keys, and what is counted under each.
    fn counts(&self, table: usize) -> Vec<(Key, u64)> {
        let schema = Schema::new(if table == 0 { 1 } else { 0 }).expect("a schema");
        let first = table * CELLS as usize + Native::CLASSIC as usize;
        // As a reader does: first what is counted, then under which key.
        let counts: Vec<u64> = (first..first + PLACES as usize)
            .map(|cell| slabs().iter().map(|cells| cells[cell].load(Ordering::Relaxed)).sum())
            .collect();
        let keys = self.keys[table].iter().map(|key| Key::decode(key.load(Ordering::Relaxed), schema));
        keys.zip(counts).filter_map(|(key, count)| Some((key?, count))).collect()
    }
}

fn cells(keys: Keys, first: u32) -> TableCells {
    TableCells::at(keys, SumCells::at(first), Native::CLASSIC)
}

fn key(index: i32) -> Key {
    Key { is_negative: false, index }
}

fn same_places() {
    let series = Series::new(2);
    // Both belong to the same place, and one has to take the other.
    let other = spawn({
        let series = Arc::clone(&series);
        move || [4.0, 1.0].into_iter().for_each(|value| series.observe(value))
    });
    series.observe(1.0);
    other.join().expect("it ends");
    let mut counts = series.counts(0);
    counts.sort_unstable();
    assert_eq!(counts, [(key(0), 2), (key(4), 1)]);
    assert_eq!(series.counts(1), []);
}

fn followed() {
    let series = Series::new(1);
    series.observe(1.0);
    // There is no place for these any more, and in the coarser table for one of them.
    let other = spawn({
        let series = Arc::clone(&series);
        move || series.observe(4.0)
    });
    series.observe(4.0);
    other.join().expect("it ends");
    assert_eq!(series.counts(0), [(key(0), 1)]);
    assert_eq!(series.counts(1), [(key(2), 2)]);
    assert!(!std::ptr::eq(series.first.newest(), &raw const series.first));
}

fn read_amid_observations() {
    let series = Series::new(1);
    let observing = spawn({
        let series = Arc::clone(&series);
        move || [1.0, 4.0, 4.0].into_iter().for_each(|value| series.observe(value))
    });
    let seen = [0, 1].map(|table| series.counts(table));
    observing.join().expect("it ends");
    let all = [0, 1].map(|table| series.counts(table));
    for (seen, all) in seen.iter().zip(&all) {
        // What was seen is there still, and has not become less.
        let stays = |(key, count): &(Key, u64)| all.iter().any(|(known, now)| known == key && now >= count);
        assert!(seen.iter().all(stays), "{seen:?} was seen, and then {all:?}");
    }
    let total: u64 = all.iter().flatten().map(|(_, count)| count).sum();
    assert_eq!(total, 3, "{all:?}");
}
