//! What an update costs: floors, ourselves and `prometheus`. Whoever has more peers adds them.
//!
//! `reader` scrapes beside it; `plain` has metrics without labels, `labels` those with them, and `create` what a
//! series costs; `row` says what may be.

mod create;
mod labels;
mod plain;
mod reader;
mod row;

use headcount::Registry;

pub(crate) use labels::{Digit, Three};
pub(crate) use plain::{MANY, amid_misses};
use row::{Rows, Target};

use crate::alone::disturbed;
use crate::document::machine;
use crate::inputs::{Names, Threads, UPDATES};
use crate::measure::{Candidate, Medians, compare};
use reader::Reader;

const ROUNDS: usize = 51;

/// What is compared, and with what input.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    Add(Threads),
    AddInTurn,
    AddAmidMisses,
    AddInTurnAmidMisses,
    Set,
    Observe,
    /// Into buckets that nobody chose.
    ObserveNative,
    /// Three enums of five values each, or of 22.
    FewEnums(Threads),
    ManyEnums(Threads),
    /// Texts that stay where they are.
    Literals(&'a Names, Threads),
    /// Texts that somebody else owns.
    Texts(&'a Names, Threads),
    Create,
}

impl Work<'_> {
    fn threads(self) -> Threads {
        match self {
            Self::Add(threads) | Self::FewEnums(threads) | Self::ManyEnums(threads) => threads,
            Self::Literals(_, threads) | Self::Texts(_, threads) => threads,
            _ => Threads::One,
        }
    }
}

/// More candidates for some work.
pub(crate) type More = for<'a> fn(Work<'a>) -> Vec<Candidate<'a>>;

/// What all tables need.
struct Bench<'a> {
    registry: Registry,
    reader: &'a Reader,
    more: More,
    rows: Rows,
}

/// Runs all tables, and returns the one for the documentation.
pub(crate) fn run(more: More) -> String {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let reader = Reader::start(directory.path());
    let mut bench = Bench { registry, reader: &reader, more, rows: Rows::new() };
    plain::run(&mut bench);
    labels::run(&mut bench);
    create::run(&mut bench);
    let how = format!("Medians of {ROUNDS} rounds of {UPDATES} updates, on {}.", machine());
    let shared = 100.0 * disturbed();
    format!(
        "{how} Of the rounds of one thread, {shared:.0} % had somebody else on the core.\n\n{}",
        bench.rows.text()
    )
}

impl Bench<'_> {
    /// Compares, and adds a row.
    fn row<'a>(
        &mut self,
        operation: &str,
        work: Work<'a>,
        targets: &[Target],
        mut candidates: Vec<Candidate<'a>>,
    ) -> Medians {
        candidates.extend((self.more)(work));
        if matches!(work.threads(), Threads::One) {
            let undisturbed = |candidate: Candidate<'a>| match candidate.is_beside() {
                true => candidate,
                false => candidate.after_itself(1).alone(),
            };
            candidates = candidates.into_iter().map(undisturbed).collect();
        }
        let medians = compare(operation, ROUNDS, UPDATES as f64, "ns", &mut candidates);
        self.rows.add(operation, "ns", &medians, targets);
        medians
    }
}
