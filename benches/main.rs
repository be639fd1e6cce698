//! What an increment, a merge, a request and a supervisor cost, beside the floor and the peers, in one run.
//!
//! `cargo bench -p headcount-benches` prints medians of interleaved rounds, and ratios to quote: on a
//! shared machine a nanosecond of today is not one of tomorrow. With a word as argument, only the part
//! of that name is run: `increment`, `merge`, `http`, `wrk` or `supervisor`; `merge` and `wrk` with `--write` put tables into
//! `docs`. `benches/peers` has the same increments and requests beside more peers.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod alone;
mod document;
#[allow(dead_code, unused_imports, reason = "`peers` needs all of it")]
mod http;
#[allow(dead_code, unused_imports, reason = "`peers` needs all of it")]
mod increment;
mod inputs;
mod measure;
mod merge;
mod supervisor;
mod wrk;

fn main() {
    // Here one process is hundreds of workers, one after the other, and none of their files goes away.
    headcount::limit_bytes(u64::MAX);
    if merge::be_told() || wrk::be_told() {
        return;
    }
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    let is_written = std::env::args().any(|argument| argument == "--write");
    if runs("increment") {
        increment::run(|_| Vec::new());
    }
    if runs("merge") {
        merge::run(is_written);
    }
    if runs("supervisor") {
        supervisor::run();
    }
    if runs("http") {
        http::run(|_| Vec::new());
    }
    if runs("wrk") {
        wrk::run(is_written);
    }
}
