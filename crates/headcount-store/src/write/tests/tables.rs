//! Tables of native histograms, written and read.

use super::*;
use crate::exponential::{Key, Scale, Schema};
use crate::format::family::Native;

#[test]
fn threads_that_take_places_at_once_take_each_bucket_once_and_lose_nothing() {
    let store = private();
    let mut registration = Registration::begin();
    let scale = Scale { schema: Schema::MAX, zero_threshold: 0.0 };
    let shape = Shape::NativeHistogram(Native { scale, limit: 100, bounds: vec![] });
    let family = registration.add_family(store, &Family { shape, ..counters(&[]) }).unwrap();
    let new = NewTable { schema: scale.schema, places: 128, life: None };
    let (table, _) = registration.add_table(store, family, NO_LABELS, 3, new).unwrap();
    drop(registration);
    let key = |n: i32| Key { is_negative: n % 2 == 0, index: n * 77 };
    let begin = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let begin = &begin;
            scope.spawn(move || {
                begin.wait();
                for n in (0..100).map(|n| (n + thread * 13) % 100) {
                    let cell = table.find(key(n)).or_else(|| table.find_or_take(key(n), 100)).unwrap();
                    table.cells().observe(cell, 1, 0.5);
                }
            });
        }
    });
    assert_eq!((table.find(key(100)), table.find_or_take(key(100), 100)), (None, None), "enough are taken");
    let image = image(store);
    let tables = image.records().filter_map(|record| match record.unwrap() {
        Record::Series { first_cell, table, .. } => table.map(|table| (first_cell, table)),
        _ => None,
    });
    let (first, described) = tables.last().unwrap();
    assert_eq!((described.places, described.schema), (128, Schema::MAX));
    let mut found: Vec<_> = (0..described.places)
        .filter_map(|place| {
            let key = Key::decode(image.cells().shared(described.first_key + place), described.schema)?;
            Some((key, image.cells().sum(first + 3 + place)))
        })
        .collect();
    found.sort_unstable();
    let mut expected: Vec<_> = (0..100).map(|n| (key(n), 8)).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(image.cells().sum_f64(first), 400.0);
}

#[test]
fn a_table_that_is_full_to_the_last_place_says_so() {
    let store = private();
    let mut registration = Registration::begin();
    let family = registration.add_family(store, &counters(&[])).unwrap();
    let new = NewTable { schema: Schema::MIN, places: 4, life: None };
    let (table, life) = registration.add_table(store, family, NO_LABELS, 1, new).unwrap();
    let again = registration.add_table(store, family, NO_LABELS, 1, NewTable { life: Some(life), ..new });
    assert_eq!(again.unwrap().1, life, "one series, removed as one");
    let key = |index| Key { is_negative: false, index };
    let places: Vec<_> = (0..5).map(|index| table.find_or_take(key(index * 4), 9)).collect();
    assert_eq!(places, [Some(1), Some(2), Some(3), Some(4), None]);
    assert_eq!((table.find(key(12)), table.find(key(16)), table.find(key(-4))), (Some(4), None, None));
    let lost = store.lost_table();
    assert_eq!((lost.are_lost(), lost.find(key(0)), lost.find_or_take(key(0), 9)), (true, None, None));
}
