//! A library that counts, for programs in other languages to load: `tests/it/plugin.rs`.
#![expect(unsafe_code, reason = "a name that other languages call has to be the only one")]

use headcount::{Counter, Histogram, metric};

/// Calls, by who makes them.
#[metric]
fn plugin_calls(who: u32) -> Counter;

/// What comes with them.
#[metric(buckets = [1.0, 2.0])]
fn plugin_sizes() -> Histogram;

/// Counts a call.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_call(who: u32, size: f64) {
    plugin_calls(who).inc();
    plugin_sizes().observe(size);
}
