//! Publishers of real registries.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use headcount::Registry;
use headcount_bridge::{Exposed, Publisher, PublisherBuilder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// A publisher that copies when it is told to, and what of it is exposed.
fn publish(builder: PublisherBuilder) -> (Publisher, Registry) {
    let registry = Registry::private().unwrap();
    (builder.every(Duration::from_secs(3600)).registry(registry).start().unwrap(), registry)
}

/// The lines of an exposition that are samples of these metrics.
fn samples(registry: Registry, name: &str) -> Vec<String> {
    registry.render().lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

#[test]
fn what_is_removed_from_a_registry_of_prometheus_is_removed_at_the_next_copy() {
    let theirs = prometheus::Registry::new();
    let opts = |name: &str| prometheus::Opts::new(name, "Of customers.");
    let open = prometheus::GaugeVec::new(opts("open"), &["customer"]).unwrap();
    let calls = prometheus::IntCounterVec::new(opts("calls"), &["customer"]).unwrap();
    theirs.register(Box::new(open.clone())).unwrap();
    theirs.register(Box::new(calls.clone())).unwrap();
    for customer in ["a", "b"] {
        open.with_label_values(&[customer]).set(3.0);
        calls.with_label_values(&[customer]).inc_by(2);
    }
    let (publisher, ours) = publish(Publisher::of_prometheus(theirs));
    assert_eq!(samples(ours, "open{"), ["open{customer=\"a\"} 3", "open{customer=\"b\"} 3"]);
    open.remove_label_values(&["a"]).unwrap();
    calls.remove_label_values(&["a"]).unwrap();
    publisher.publish();
    assert_eq!(samples(ours, "open{"), ["open{customer=\"b\"} 3"]);
    assert_eq!(samples(ours, "calls_total{"), ["calls_total{customer=\"b\"} 2"]);
    // The last one, too, which leaves nothing of its metric.
    open.remove_label_values(&["b"]).unwrap();
    calls.with_label_values(&["a"]).inc();
    publisher.publish();
    assert!(samples(ours, "open{").is_empty());
    assert_eq!(
        samples(ours, "calls_total{"),
        ["calls_total{customer=\"a\"} 3", "calls_total{customer=\"b\"} 2"]
    );
}

#[test]
fn what_is_removed_from_a_registry_of_prometheus_client_is_removed_at_the_next_copy() {
    let open = Family::<[(&str, &str); 1], Gauge>::default();
    let theirs = Arc::new(Mutex::new(prometheus_client::registry::Registry::default()));
    theirs.lock().unwrap().register("open", "Of customers", open.clone());
    for customer in ["a", "b"] {
        open.get_or_create(&[("customer", customer)]).set(3);
    }
    let (publisher, ours) =
        publish(Publisher::of(move || Exposed::of_prometheus_client(&theirs.lock().unwrap())));
    assert_eq!(samples(ours, "open{").len(), 2);
    open.remove(&[("customer", "a")]);
    publisher.publish();
    assert_eq!(samples(ours, "open{"), ["open{customer=\"b\"} 3"]);
}
