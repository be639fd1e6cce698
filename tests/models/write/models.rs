//! Slabs that threads add to, hand on when they end, and touch more of as there is more.

use super::slab::SumCells;
use super::state::slabs;
use crate::sync::{Ordering, begin, spawn};

pub(crate) const MODELS: &[(&str, fn())] = &[
    ("a slab that is handed on loses nothing, and no reader sees a sum fall", handed_on),
    ("threads whose slabs grow while others add lose nothing", grows_amid_adds),
];

/// The sum of a cell over all slabs.
fn sum(cell: usize) -> u64 {
    slabs().iter().map(|cells| cells[cell].load(Ordering::Relaxed)).sum()
}

fn handed_on() {
    begin();
    let cells = SumCells::at(0);
    // Whoever comes later has the slab of one that has ended, if one has.
    let threads = [0, 1].map(|_| spawn(move || (0..2).for_each(|_| cells.add(0, 1))));
    let seen = sum(0);
    assert!(sum(0) >= seen, "a sum fell");
    threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    assert_eq!(sum(0), 4);
    spawn(move || cells.add(0, 1)).join().expect("it ends");
    assert_eq!(sum(0), 5);
    assert!(slabs().len() <= 2, "the third has the slab of another");
}

fn grows_amid_adds() {
    begin();
    let [first, second] = [0, 1].map(SumCells::at);
    let other = spawn(move || {
        first.add(0, 1);
        // Beyond what it has.
        second.add(0, 2);
        first.add(0, 1);
    });
    first.add(0, 1);
    second.add(0, 2);
    other.join().expect("it ends");
    assert_eq!((sum(0), sum(1)), (3, 4));
}
