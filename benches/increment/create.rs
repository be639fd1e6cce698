//! What a series costs: its creation, and the memory of its cells.

use std::os::unix::fs::MetadataExt;

use headcount::Registry;
use headcount_store::format::BLOCK;

use super::row::Target::AtMost;
use super::{Bench, ROUNDS, Work};
use crate::measure::{Candidate, Medians, compare, time};

/// Children that are created at a time.
const NEW: usize = 1000;

pub(crate) fn run(bench: &mut Bench<'_>) {
    let registry = bench.registry;
    let (mut ours, mut theirs) = (0, 0);
    let texts = |from: usize| (from..from + NEW).map(|n| format!("/route/{n}")).collect::<Vec<_>>();
    let family = registry.counter_family("ours_created", "", ["route"]).unwrap().limited_to(u32::MAX);
    let vec = prometheus::IntCounterVec::new(prometheus::Opts::new("theirs", "theirs"), &["route"]).unwrap();
    let mut candidates = vec![
        Candidate::ours("headcount::Family", || {
            let texts = texts(ours);
            ours += NEW;
            time(|| texts.iter().for_each(|text| family.with([text]).inc()))
        }),
        Candidate::peer("prometheus", || {
            let texts = texts(theirs);
            theirs += NEW;
            time(|| texts.iter().for_each(|text| vec.with_label_values(&[text]).inc()))
        }),
    ];
    candidates.extend((bench.more)(Work::Create));
    let operation = "creating a labelled child, and its first add";
    let medians = compare(operation, ROUNDS, NEW as f64, "ns", &mut candidates);
    bench.rows.add(operation, "ns", &medians, &[AtMost(1000.0)]);
    memory(bench);
}

/// What another thread takes for itself, for each of many series. Of its last block the rest is for those to come, and
/// said by itself; what is taken in advance beyond that counts.
fn memory(bench: &mut Bench<'_>) {
    const SERIES: usize = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let family = registry.counter_family("c", "", ["n"]).unwrap().limited_to(u32::MAX);
    let children: Vec<_> = (0..SERIES).map(|n| family.with([&n.to_string()])).collect();
    let allocated = || -> u64 {
        let files = std::fs::read_dir(directory.path()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum()
    };
    let before = allocated();
    std::thread::scope(|scope| scope.spawn(|| children.iter().for_each(|child| child.inc())).join().unwrap());
    let taken = allocated() - before;
    let used = (SERIES * size_of::<u64>()) as u64;
    let rest = used.next_multiple_of(BLOCK) - used;
    let each = (taken - rest) as f64 / SERIES as f64;
    println!(
        "\nmemory of a cell: {each:.2} bytes for each of {SERIES} series in another thread, {rest} bytes left"
    );
    let operation =
        format!("memory for each series, thread and cell, 10,000 series; {rest} bytes are left for more");
    bench.rows.add(&operation, "bytes", &Medians::of_ours(each), &[AtMost(8.0)]);
}
