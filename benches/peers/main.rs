//! What an update costs, beside more peers than the workspace has: `benches/increment.rs`, with candidates
//! of theirs in its tables.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

#[path = "../increment.rs"]
mod increment;
#[path = "../inputs.rs"]
mod inputs;
#[path = "../measure.rs"]
mod measure;
mod peers;

fn main() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::set_global_recorder(recorder).unwrap();
    increment::run(peers::candidates);
}
