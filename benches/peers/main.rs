//! What an update and a request cost, beside more peers than the workspace has: `benches/increment` and `benches/http`,
//! with candidates of theirs in their tables.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, with `-- --write` to put the tables into
//! `docs/performance.md`; with a word, only the table of that name: `updates` or `requests`.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

#[path = "../alone.rs"]
mod alone;
#[path = "../document.rs"]
mod document;
#[path = "../http/mod.rs"]
mod http;
#[path = "../increment/mod.rs"]
mod increment;
#[path = "../inputs.rs"]
mod inputs;
mod labels;
#[path = "../measure.rs"]
mod measure;
mod plain;
mod requests;

use increment::{MANY, Work};
use measure::Candidate;

fn main() {
    let recorder = plain::recorder();
    plain::keep_exporter(recorder.handle());
    metrics::set_global_recorder(recorder).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let tables: [(&str, fn() -> String); 2] =
        [("updates", || increment::run(candidates)), ("requests", || http::run(requests::candidates))];
    let is_named = tables.iter().any(|(name, _)| has(name));
    for (name, run) in tables.into_iter().filter(|(name, _)| !is_named || has(name)) {
        let table = run();
        if has("--write") {
            document::write(name, &table);
        }
    }
}

/// The peers, each used as its documentation shows it.
fn candidates(work: Work<'_>) -> Vec<Candidate<'_>> {
    match work {
        Work::Add(threads) => plain::add(threads),
        Work::AddInTurn => plain::add_in_turn(),
        Work::AddAmidMisses => plain::add_amid_misses::<1>(),
        Work::AddInTurnAmidMisses => plain::add_amid_misses::<MANY>(),
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
