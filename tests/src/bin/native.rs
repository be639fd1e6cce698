//! A worker with native histograms: `test-native SCHEMA LIMIT FROM TO END` observes the durations with these numbers in
//! `request_seconds`, from several threads, and says so.
//!
//! `exit` then ends. `fork` lets a child observe the latter half. `hold` waits to be killed, and meanwhile goes on
//! observing in `going_on_seconds`.
#![expect(clippy::unwrap_used, reason = "a worker of a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "what was done is told to the test")]

use std::ops::Range;
use std::time::Duration;

use headcount::{Buckets, NativeBuckets, NativeHistogram};
use headcount_tests::fork::{fork, wait_for_child};
use headcount_tests::native::duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [schema, limit, from, to, end] = arguments.as_slice() else { panic!("{arguments:?}") };
    let buckets = NativeBuckets::with_schema(schema.parse().unwrap()).unwrap();
    let buckets = buckets.limit(limit.parse().unwrap()).unwrap();
    let both = buckets.clone().and_classic(Buckets::new([0.01, 0.1]).unwrap());
    let seconds = NativeHistogram::new("request_seconds", "How long requests take.", both).unwrap();
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    match end.as_str() {
        "fork" => {
            let middle = u32::midpoint(from, to);
            observe(seconds, from..middle);
            wait_for_child(fork(|| observe(seconds, middle..to)));
        }
        _ => observe(seconds, from..to),
    }
    let going_on = NativeHistogram::new("going_on_seconds", "How long the rest takes.", buckets).unwrap();
    println!("done");
    if end == "hold" {
        loop {
            observe(going_on, from..to);
            // Others are to run, too.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn observe(histogram: NativeHistogram, numbers: Range<u32>) {
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let numbers = numbers.clone();
            scope.spawn(move || {
                numbers.filter(|n| n % 3 == thread).for_each(|n| histogram.observe(duration(n)));
            });
        }
    });
}
