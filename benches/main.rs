//! What an increment and a merge cost, beside the floor and the peers, in one run.
//!
//! `cargo bench -p headcount-benches` prints medians of interleaved rounds, and ratios to quote: on a
//! shared machine a nanosecond of today is not one of tomorrow. With a word as argument, only the part
//! of that name is run: `increment` or `merge`. `benches/peers` has the same increments beside more peers.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod increment;
mod inputs;
mod measure;
mod merge;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    if runs("increment") {
        increment::run(|_, _| Vec::new());
    }
    if runs("merge") {
        merge::run();
    }
}
