//! Exemplars, written and read.

use super::*;
use crate::format::exemplar::{Exemplar, ExemplarLabels};

fn labels(id: &str) -> ExemplarLabels {
    ExemplarLabels::new(&[("trace_id", id)]).unwrap()
}

#[test]
fn each_cell_keeps_the_exemplar_that_was_written_last() {
    let (store, other) = (private(), private());
    let mut registration = Registration::begin();
    let create = |registration: &mut Registration, store| {
        let family = registration.add_family(store, &counters(&["n"])).unwrap();
        let series: Vec<_> = (0..20).map(|n: u32| n.to_string()).collect();
        series
            .iter()
            .map(|n| registration.add_summed(store, family, &[n], 100).unwrap().0)
            .collect::<Vec<_>>()
    };
    // Files take turns in the range of cells, so that numbers in the file are others than in the range.
    let (ours, theirs) = (create(&mut registration, store), create(&mut registration, other));
    let more = create(&mut registration, store);
    drop(registration);
    for (n, cells) in ours.iter().chain(&more).enumerate() {
        cells.set_exemplar(3, 0.5, 1.0, &labels("replaced"));
        cells.set_exemplar(3, n as f64, 2.0, &labels(&n.to_string()));
        cells.set_exemplar(3, f64::NAN, 3.0, &labels("no number"));
        cells.set_exemplar(3, 9.0, 2.0005, &labels("too soon"));
    }
    theirs[0].set_exemplar(0, 7.0, 2.0, &labels("theirs"));
    let image = image(store);
    let firsts = first_cells(&image);
    let found: Vec<Exemplar> = image.cells().exemplars().collect();
    assert_eq!(found.len(), firsts.len());
    for (n, (exemplar, first)) in found.iter().zip(firsts).enumerate() {
        let expected =
            Exemplar { cell: first + 3, value: n as f64, time: 2.0, labels: labels(&n.to_string()) };
        assert_eq!(*exemplar, expected);
    }
    assert_eq!(self::image(other).cells().exemplars().count(), 1);
}

#[test]
fn an_exemplar_is_never_read_torn_while_threads_race() {
    let store = private();
    let mut registration = Registration::begin();
    let family = registration.add_family(store, &counters(&[])).unwrap();
    let cells = registration.add_summed(store, family, NO_LABELS, 1).unwrap().0;
    drop(registration);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 1..=3_u32 {
            let done = &done;
            scope.spawn(move || {
                let label = labels(&thread.to_string().repeat(thread as usize * 30));
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let time = crate::process::now_nanos() as f64 / 1e9;
                    cells.set_exemplar(0, thread.into(), time, &label);
                }
            });
        }
        let mut seen = Vec::new();
        while seen.len() < 50 {
            for Exemplar { value, labels, .. } in image(store).cells().exemplars() {
                seen.push((value, labels));
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for (value, labels) in seen {
            let (_, id) = labels.iter().next().unwrap();
            let expected = (1..=3_u32).find(|&thread| f64::from(thread) == value).unwrap();
            assert_eq!(id, expected.to_string().repeat(expected as usize * 30));
        }
    });
}
