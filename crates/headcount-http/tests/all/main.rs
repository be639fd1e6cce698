//! The definition as a framework's crate uses it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use headcount::Registry;
use headcount_http::{Arrival, Life, Options, Recorder};

mod endings;
mod limits;
mod names;
mod one_after_the_other;
mod sole;

/// A recorder with a registry of its own.
fn record(options: Options) -> (Recorder, Registry) {
    let registry = Registry::private().unwrap();
    (Recorder::new(options.registry(registry)).unwrap(), registry)
}

fn arrive(recorder: Recorder, method: &str, route: &str) -> Life {
    let arrival = Arrival { method, route: Some(route), path: route, body: Some(3), ..Arrival::default() };
    recorder.arrive(&arrival, |()| ())
}

/// A sample's value; 0 if it is not there.
fn value(registry: Registry, key: &str) -> f64 {
    let text = registry.render();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}
