//! How the cost of a merge grows: with the workers, with their series, and with the workers that have died.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use headcount_merge::Format;

use super::cases::{add_dead, fold, warm};
use super::python::Python;
use super::workers::{Changed, Workers};
use crate::measure::{Candidate, Role, compare};

/// Something that grows, and what merges cost then.
pub(super) struct Growth {
    /// What grows.
    pub(super) of: &'static str,
    /// What does not.
    beside: &'static str,
    pub(super) points: Vec<Point>,
}

/// Milliseconds of a merge, where it was measured.
pub(super) struct Point {
    pub(super) count: usize,
    pub(super) headcount: f64,
    pub(super) python: Option<f64>,
}

/// Rounds of each, and of those that take so long that few must do.
const ROUNDS: usize = 31;
const FEW: usize = 3;

pub(super) fn run() -> Vec<Growth> {
    let workers = [1, 4, 16, 64, 256].map(|workers| point(workers, workers, 1000, workers <= 64));
    let entries = [100, 1000, 10_000, 100_000].map(|entries| point(entries, 16, entries, entries <= 10_000));
    let dead = [0, 10, 100, 1000].map(beside_dead);
    vec![
        Growth { of: "workers", beside: "1,000 entries each", points: workers.into() },
        Growth { of: "entries of each worker", beside: "16 workers", points: entries.into() },
        Growth { of: "dead workers", beside: "8 living with 1,000 entries each", points: dead.into() },
    ]
}

/// Every value has changed between two merges.
fn point(count: usize, workers: usize, entries: usize, has_python: bool) -> Point {
    let (own, pythons) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = Workers::start(own.path(), workers, entries);
    let python = has_python.then(|| Python::start(pythons.path(), workers, entries));
    measure(count, &format!("{workers} × {entries}"), own.path(), &ours, python)
}

fn beside_dead(count: usize) -> Point {
    let (own, pythons) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = Workers::start(own.path(), 8, 1000);
    add_dead(own.path(), own.path(), count);
    fold(own.path());
    let python = Python::start(pythons.path(), 8, 1000);
    let files: Vec<_> = fs::read_dir(pythons.path()).unwrap().map(|file| file.unwrap().path()).collect();
    for kind in ["counter", "histogram"] {
        let of_kind =
            |path: &&std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
        let file = files.iter().find(of_kind).unwrap();
        for number in 0..count {
            // Beyond every PID.
            fs::copy(file, pythons.path().join(format!("{kind}_{}.db", 10_000_000 + number))).unwrap();
        }
    }
    measure(count, &format!("8 × 1000 and {count} dead"), own.path(), &ours, Some(python))
}

fn measure(count: usize, title: &str, own: &Path, workers: &Workers, mut python: Option<Python>) -> Point {
    let mut merge = warm(own, Format::Text);
    let ours = Candidate::ours("headcount", || {
        workers.update(Changed::All);
        merge()
    });
    let headcount = compare(title, ROUNDS, 1.0, "ms", &mut [ours]).of(Role::Ours).unwrap();
    let python = python.as_mut().and_then(|python| {
        let candidate = Candidate::peer("Python's client", || python.scrape());
        compare(title, FEW, 1.0, "ms", &mut [candidate]).of(Role::Peer)
    });
    Point { count, headcount, python }
}

/// The tables of the documentation.
pub(super) fn table(growth: &[Growth]) -> String {
    let mut out = String::new();
    for Growth { of, beside, points } in growth {
        writeln!(out, "| {of}; {beside} | Headcount | Python's client | |\n|---:|---:|---:|---:|").unwrap();
        for Point { count, headcount, python } in points {
            let [python, times] = match python {
                Some(python) => [format!("{python:.1} ms"), format!("{:.0} ×", python / headcount)],
                None => Default::default(),
            };
            writeln!(out, "| {count} | {headcount:.3} ms | {python} | {times} |").unwrap();
        }
        out.push('\n');
    }
    out
}
