//! Children that are looked up while others are added, and the table grows.

use loom::sync::Arc;

use crate::labels::Value;
use crate::part::{Key, Part};
use crate::registration::Lock;
use crate::sync::{begin, spawn};
use crate::table::Table;

pub(crate) const MODELS: &[(&str, fn())] = &[
    ("what is found is whole, and found again however the table grows", found_is_whole_and_stays),
    ("of threads that create the same child, one does", created_once),
    ("what is forgotten while the table grows is found as it was or not at all", forgotten_and_found),
];

/// A label that is a number.
struct Number(u64);

impl Key for Number {
    fn parts(&self, mut visit: impl FnMut(Part)) {
        visit(Part::of(Value::Unsigned(self.0)));
    }

    fn has_texts(&self, _: &[Box<str>]) -> bool {
        true
    }
}

fn found_is_whole_and_stays() {
    begin();
    let shared = Arc::new((Lock::default(), Table::new()));
    let add = |shared: &(Lock, Table<u64>), n| {
        shared.1.add(&mut shared.0.registration(), &Number(n), &[""], n);
    };
    add(&shared, 1);
    let adding = spawn({
        let shared = Arc::clone(&shared);
        // The table grows with each.
        move || (2..=3).for_each(|n| add(&shared, n))
    });
    let find = |n| shared.1.find(&Number(n));
    assert_eq!(find(1), Some(1), "it was there before");
    let known = find(3);
    assert!(known.is_none() || known == Some(3));
    if known.is_some() {
        assert_eq!((find(3), find(2)), (Some(3), Some(2)), "they were added in that order");
    }
    adding.join().expect("it ends");
    assert!((1..=3).all(|n| find(n) == Some(n)));
}

fn created_once() {
    begin();
    let shared = Arc::new((Lock::default(), Table::new()));
    let get = |shared: &(Lock, Table<u64>), new| match shared.1.find(&Number(1)) {
        Some(child) => child,
        None => {
            let mut registration = shared.0.registration();
            // Who missed it too early finds it now.
            shared.1.find(&Number(1)).unwrap_or_else(|| {
                shared.1.add(&mut registration, &Number(1), &[""], new);
                new
            })
        }
    };
    let threads = [2, 3].map(|new| {
        let shared = Arc::clone(&shared);
        spawn(move || get(&shared, new))
    });
    let children = threads.map(|thread| thread.join().expect("it ends"));
    assert_eq!(children[0], children[1]);
    assert_eq!(shared.1.find(&Number(1)), Some(children[0]));
}

fn forgotten_and_found() {
    begin();
    let shared = Arc::new((Lock::default(), Table::new()));
    shared.1.add(&mut shared.0.registration(), &Number(1), &[""], 1);
    let changing = spawn({
        let shared = Arc::clone(&shared);
        move || {
            let forgotten = shared.1.forget(&mut shared.0.registration(), &Number(1));
            assert_eq!(forgotten, Some(1));
            // The table grows, and what is forgotten stays so.
            shared.1.add(&mut shared.0.registration(), &Number(2), &[""], 2);
            assert_eq!(shared.1.find(&Number(1)), None);
            shared.1.recall(&mut shared.0.registration(), &Number(1));
        }
    });
    let find = |n| shared.1.find(&Number(n));
    assert!(find(1).is_none_or(|child| child == 1));
    assert!(find(2).is_none_or(|child| child == 2));
    changing.join().expect("it ends");
    assert_eq!((find(1), find(2)), (Some(1), Some(2)));
}
