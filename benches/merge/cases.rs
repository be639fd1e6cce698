//! The rows of the table.

use std::fs;
use std::iter;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use headcount_merge::{Buckets, Exposition, Folder, Foreign, Format, Merger};
use headcount_store::directory::Directory;
use libdeflater::{CompressionLvl, Compressor};

use super::exporter::Exporter;
use super::floor::Floor;
use super::memory::Merging;
use super::natives::Natives;
use super::python::Python;
use super::table::{Limit, Table};
use super::workers::{Changed, Workers};
use crate::measure::{Candidate, time};

/// Rounds beside Python's client, which takes its time, and without it.
const FEW: usize = 9;
const MANY: usize = 101;

/// Scrapes of ours in a round beside Python's client, of whose scrapes it has one.
const SETTLED: usize = 5;

/// How many scrape at the same time.
const SCRAPERS: usize = 50;

pub(super) fn run() -> String {
    let mut table = Table::new();
    let (own, pythons) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let workers = Workers::start(own.path(), 16, 10_000);
    let mut python = Python::start(pythons.path(), 16, 10_000);
    check_alike(own.path(), pythons.path(), &python);
    own_files(&mut table, own.path(), &workers, &mut python);
    python_files(&mut table, pythons.path(), &mut python);
    compressed(&mut table, own.path(), &workers);
    scraped_by_many(&mut table, own.path());
    drop((workers, python));
    each_format(&mut table);
    the_dead(&mut table);
    native_histograms(&mut table);
    a_million(&mut table);
    table.text().to_owned()
}

/// A merge to bytes that is repeated, as exporters do it: what is known stays known, and files stay open.
pub(super) fn warm(path: &Path, format: Format) -> impl FnMut() -> Duration + use<> {
    let (directory, mut merger) = (Directory::open(path).unwrap(), Merger::default().keeping_files_open());
    move || time(|| assert!(!merger.merge(&directory).unwrap().encode(&Exposition::new(format)).is_empty()))
}

/// The same after values have changed.
fn warm_after<'a>(path: &'a Path, workers: &'a Workers, changed: Changed) -> impl FnMut() -> Duration + 'a {
    let mut merge = warm(path, Format::Text);
    move || {
        workers.update(changed);
        merge()
    }
}

/// What the floor costs after values have changed.
fn floor_after<'a>(
    floor: &'a mut Floor,
    workers: &'a Workers,
    changed: Changed,
) -> impl FnMut() -> Duration + 'a {
    move || {
        workers.update(changed);
        time(|| assert!(!floor.scrape().is_empty()))
    }
}

fn check_alike(own: &Path, pythons: &Path, python: &Python) {
    for path in [own, pythons] {
        let (mut merger, directory) = (Merger::default(), Directory::open(path).unwrap());
        let text = merger.merge(&directory).unwrap().encode(&Exposition::new(Format::Text));
        let lines = text.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(lines, python.lines, "both clients have the same series, and both merges");
    }
}

/// Adds a case beside Python's client.
fn beside_python<'a>(
    table: &mut Table,
    case: &str,
    limits: &[Limit],
    python: &'a mut Python,
    others: impl IntoIterator<Item = Candidate<'a>>,
) {
    let python = Candidate::peer("Python's client", || python.scrape()).after_itself(1);
    let others = others.into_iter().map(|other| other.after_itself(SETTLED));
    let candidates = iter::once(python).chain(others);
    table.measure(case, FEW, limits, &mut candidates.collect::<Vec<_>>());
}

fn own_files(table: &mut Table, path: &Path, workers: &Workers, python: &mut Python) {
    for (case, changed) in [
        ("16 × 10,000, our files, nothing changed", Changed::None),
        ("16 × 10,000, our files, every value changed", Changed::All),
    ] {
        let ours = || Candidate::ours("headcount", warm_after(path, workers, changed));
        beside_python(table, case, &[Limit::FasterThanPython(1500.0)], python, [ours()]);
        let mut floor = Floor::of(path);
        let floor =
            Candidate::floor("floor: read, add, copy and format", floor_after(&mut floor, workers, changed));
        table.measure("the same, beside the floor", MANY, &[Limit::OfFloor(1.5)], &mut [floor, ours()]);
    }
}

fn python_files(table: &mut Table, path: &Path, python: &mut Python) {
    let mut floor = Floor::of(path);
    let directory = Directory::open(path).unwrap();
    let cold = || {
        time(|| {
            // As `dump` has it.
            let mut merger = Merger::default().keeping_files_open();
            assert!(!merger.merge(&directory).unwrap().encode(&Exposition::new(Format::Text)).is_empty());
        })
    };
    let floor = Candidate::floor("floor: read, add, copy and format", || {
        time(|| assert!(!floor.scrape().is_empty()))
    });
    let ours = Candidate::ours("headcount", warm(path, Format::Text));
    let case = "16 × 10,000, Python's files";
    beside_python(table, case, &[Limit::FasterThanPython(300.0)], python, [floor, ours]);
    let ours = Candidate::ours("headcount", cold);
    let case = "16 × 10,000, Python's files, cold";
    beside_python(table, case, &[Limit::FasterThanPython(60.0)], python, [ours]);
}

/// Over HTTP, with gzip.
fn compressed(table: &mut Table, path: &Path, workers: &Workers) {
    let exporter = Exporter::start(path);
    let mut client = exporter.client();
    client.scrape();
    let (directory, mut merger) = (Directory::open(path).unwrap(), Merger::default().keeping_files_open());
    let mut compressor = Compressor::new(CompressionLvl::new(1).unwrap());
    let mut merge_and_compress = || {
        workers.update(Changed::All);
        time(|| {
            let text = merger.merge(&directory).unwrap().encode(&Exposition::new(Format::Text));
            let mut body = vec![0; compressor.gzip_compress_bound(text.len())];
            assert!(compressor.gzip_compress(&text, &mut body).unwrap() > 0);
        })
    };
    let mut scrape = |changed| {
        workers.update(changed);
        time(|| assert!(client.scrape() > 0))
    };
    table.measure(
        "over HTTP with gzip, every value changed; floor: the merge, and libdeflate's level 1",
        3 * MANY,
        &[Limit::OfFloor(1.3)],
        &mut [
            Candidate::floor("merge, and libdeflate level 1", &mut merge_and_compress),
            Candidate::ours("headcount serve", || scrape(Changed::All)),
        ],
    );
    for (case, changed) in [
        ("a tenth of the values changed, side by side; floor: the merge", Changed::Together),
        ("a tenth changed, every tenth series; floor: the merge", Changed::Scattered),
    ] {
        table.measure(
            case,
            3 * MANY,
            &[Limit::OfFloor(3.0)],
            &mut [
                Candidate::floor("the merge alone", warm_after(path, workers, changed)),
                Candidate::ours("headcount serve", || scrape(changed)),
            ],
        );
    }
}

/// Many clients at the same time, over and over: what the exporter has in memory then.
fn scraped_by_many(table: &mut Table, path: &Path) {
    let exporter = Exporter::start(path);
    let mut clients: Vec<_> = (0..SCRAPERS).map(|_| exporter.client()).collect();
    let mut scrape_all = || {
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| assert!(client.scrape() > 0));
            }
        });
        exporter.memory()
    };
    let first = (0..5).map(|_| scrape_all()).max().unwrap();
    let last = (0..40).map(|_| scrape_all()).max().unwrap();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "\n{SCRAPERS} scrapers at the same time: {:.1} MiB after 5 rounds, {:.1} after 45",
        mib(first),
        mib(last)
    );
    let growth = (last as f64 / first as f64 - 1.0) * 100.0;
    table.add_figure(
        &format!("{SCRAPERS} scrapers at the same time, all served: memory grows by"),
        growth,
        "%",
        5.0,
    );
}

fn each_format(table: &mut Table) {
    let (own, pythons) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let workers = Workers::start(own.path(), 64, 1000);
    let mut python = Python::start(pythons.path(), 64, 1000);
    for (name, format) in [
        ("text", Format::Text),
        ("OpenMetrics", Format::OpenMetrics),
        ("protobuf", Format::Protobuf),
        ("JSON", Format::Json),
    ] {
        let mut merge = warm(own.path(), format);
        let ours = Candidate::ours("headcount", || {
            workers.update(Changed::All);
            merge()
        });
        // Nobody scrapes JSON: it is for people.
        let limits: &[_] = if format == Format::Json { &[] } else { &[Limit::FasterThanPython(1500.0)] };
        let case = format!("64 × 1,000, our files, {name}, every value changed");
        beside_python(table, &case, limits, &mut python, [ours]);
    }
}

/// Eight workers with 1,000 entries each, and the same beside a thousand that have died.
fn the_dead(table: &mut Table) {
    let (alone, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _workers = [alone.path(), beside.path()].map(|path| Workers::start(path, 8, 1000));
    add_dead(beside.path(), alone.path(), 1000);
    fold(beside.path());
    table.measure(
        "8 living × 1,000 beside 1,000 dead, folded; floor: without the dead",
        3 * MANY,
        &[Limit::OfFloor(1.1)],
        &mut [
            Candidate::floor("without dead workers", warm(alone.path(), Format::Text)),
            Candidate::ours("beside 1,000 dead workers", warm(beside.path(), Format::Text)),
        ],
    );
}

/// Copies a worker's file as that of so many dead ones.
pub(super) fn add_dead(directory: &Path, of: &Path, count: usize) {
    let living = fs::read_dir(of).unwrap().next().unwrap().unwrap().path();
    for number in 0..count {
        fs::copy(&living, directory.join(format!("dead-{number}.hc"))).unwrap();
    }
}

/// Folds, and waits until nobody has to list the names again who has listed them: who scrapes seldom comes so soon.
pub(super) fn fold(directory: &Path) {
    let (mut folder, directory) = (Folder::new(Foreign::Fold), Directory::open(directory).unwrap());
    while folder.step(&directory, 1, Duration::from_millis(50)).unwrap().is_more {}
    while !directory.stamp().unwrap().is_settled(SystemTime::now()) {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A million series, each in four workers.
fn a_million(table: &mut Table) {
    const SERIES: usize = 1_000_000;
    let directory = tempfile::tempdir().unwrap();
    let workers = Workers::start(directory.path(), 4, SERIES);
    let mut merging = Merging::start(directory.path());
    let mut memory = merging.scrape().1;
    let mut scrape = |changed| {
        workers.update(changed);
        let (took, now) = merging.scrape();
        memory = memory.max(now);
        took
    };
    let case = "1,000,000 series in 4 workers";
    for (case, changed) in
        [(case.to_owned(), Changed::None), (format!("{case}, every value changed"), Changed::All)]
    {
        let ours = Candidate::ours("headcount", || scrape(changed));
        // 100 ns each.
        table.measure(&case, FEW, &[Limit::AtMost(100.0, "ms")], &mut [ours]);
    }
    table.add_figure(&format!("{case}: memory of each"), memory as f64 / SERIES as f64, "bytes", 300.0);
}

/// Each has a table of 256 places in each worker.
fn native_histograms(table: &mut Table) {
    const NATIVES: usize = 1000;
    let directory = tempfile::tempdir().unwrap();
    let workers = Natives::start(directory.path(), 4, NATIVES);
    let text = Merger::default()
        .merge(&Directory::open(directory.path()).unwrap())
        .unwrap()
        .to_text(Buckets::Cumulative);
    let series = String::from_utf8(text).unwrap().matches("_count{path=\"/api").count();
    assert_eq!(series, NATIVES, "there was room for all of them");
    for (name, format) in [("protobuf", Format::Protobuf), ("text", Format::Text)] {
        let mut merge = warm(directory.path(), format);
        let ours = Candidate::ours("headcount", || {
            workers.update();
            merge()
        });
        let case = format!("4 × 1,000 native histograms, {name}, every one changed");
        table.measure(&case, MANY, &[], &mut [ours.after_itself(SETTLED)]);
    }
}
