//! What an update costs, beside more peers than the workspace has: `benches/increment`, with candidates
//! of theirs in its tables.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, with `-- --write` to put the table into
//! `docs/performance.md`.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

#[path = "../document.rs"]
mod document;
#[path = "../increment/mod.rs"]
mod increment;
#[path = "../inputs.rs"]
mod inputs;
mod labels;
#[path = "../measure.rs"]
mod measure;
mod plain;

use increment::Work;
use measure::Candidate;

fn main() {
    let recorder = plain::recorder();
    plain::keep_exporter(recorder.handle());
    metrics::set_global_recorder(recorder).unwrap();
    let table = increment::run(candidates);
    if std::env::args().any(|argument| argument == "--write") {
        document::write("updates", &table);
    }
}

/// The peers, each used as its documentation shows it.
fn candidates(work: Work<'_>) -> Vec<Candidate<'_>> {
    match work {
        Work::Add(threads) => plain::add(threads),
        Work::AddInTurn => plain::add_in_turn(),
        Work::AddAmidMisses => plain::add_amid_misses(),
        Work::Set => plain::set(),
        Work::Observe => plain::observe(),
        Work::ObserveNative => plain::observe_native(),
        Work::FewEnums(threads) => labels::few_enums(threads),
        Work::ManyEnums(threads) => labels::many_enums(threads),
        Work::Literals(names, threads) => labels::literals(names, threads),
        Work::Texts(names, threads) => labels::texts(names, threads),
        Work::Create => labels::create(),
    }
}
