//! A worker that counts with other clients, and has what they count brought here.
//!
//! `serve` counts once with each and waits for its end. `fork` counts, forks a child that counts, and counts again.
#![expect(clippy::unwrap_used, reason = "a worker of a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use headcount::worker::Worker;
use headcount::{Buckets, GaugeMode, Registry};
use headcount_bridge::{Matcher, Publisher, Recorder, watch_process, watch_runtime};
use headcount_tests::fork::{fork, wait_for_child};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// So long that only the copies at the start and at the end are made.
const NEVER: Duration = Duration::from_secs(3600);

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve(),
        Some("fork") => fork_and_count(),
        unknown => panic!("no such thing to do: {unknown:?}"),
    }
}

fn serve() {
    let mut worker = Worker::from_environment().unwrap();
    drop(worker.take_tcp_listener("http"));
    Recorder::builder()
        .buckets_for(Matcher::suffix("_bytes"), Buckets::new([10.0]).unwrap())
        .gauge_mode_for(Matcher::full("facade.version"), GaugeMode::Max)
        .install()
        .unwrap();
    metrics::counter!("facade.jobs", "kind" => "mail").increment(3);
    metrics::counter!("facade.jobs").increment(1);
    metrics::gauge!("facade.open").set(2.0);
    metrics::gauge!("facade.version").set(7.0);
    [5.0, 50.0].into_iter().for_each(|bytes| metrics::histogram!("facade.sent_bytes").record(bytes));

    let theirs = Theirs::register();
    let published = Publisher::of_prometheus(theirs.registry.clone()).every(NEVER).start().unwrap();
    let (client, tasks) = client();
    let client = Publisher::of_prometheus_client(client);
    let client =
        client.gauge_mode_for(Matcher::full("client_build"), GaugeMode::Max).every(NEVER).start().unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let registry = Registry::global().unwrap();
    let runtime = watch_runtime(runtime.handle(), registry, NEVER).unwrap();
    let process = watch_process(registry, NEVER).unwrap();

    let drain = worker.drain().unwrap();
    worker.ready().unwrap();
    drain.wait();
    // Copied by the drops, and by nothing else.
    theirs.count(2.0);
    tasks.get_or_create(&vec![("kind", "late")]).set(1);
    drop((published, client, runtime, process));
}

/// Metrics of the crate `prometheus`.
struct Theirs {
    registry: prometheus::Registry,
    seconds: prometheus::CounterVec,
    sizes: prometheus::Histogram,
}

impl Theirs {
    fn register() -> Self {
        let registry = prometheus::Registry::new();
        let options = prometheus::Opts::new("theirs_seconds_total", "Seconds.");
        let seconds = prometheus::CounterVec::new(options, &["kind"]).unwrap();
        let options = prometheus::HistogramOpts::new("theirs_sizes", "Sizes.").buckets(vec![1.0, 2.0]);
        let sizes = prometheus::Histogram::with_opts(options).unwrap();
        registry.register(Box::new(seconds.clone())).unwrap();
        registry.register(Box::new(sizes.clone())).unwrap();
        let theirs = Self { registry, seconds, sizes };
        theirs.count(1.5);
        theirs
    }

    fn count(&self, value: f64) {
        self.seconds.with_label_values(&["a"]).inc_by(value);
        self.sizes.observe(value);
    }
}

type Tasks = Family<Vec<(&'static str, &'static str)>, Gauge>;

/// Metrics of the crate `prometheus-client`.
fn client() -> (Arc<prometheus_client::registry::Registry>, Tasks) {
    let mut registry = prometheus_client::registry::Registry::with_prefix("client");
    let (tasks, build) = (Tasks::default(), Gauge::<i64>::default());
    tasks.get_or_create(&vec![("kind", "early")]).set(4);
    build.set(3);
    registry.register("tasks", "Tasks", tasks.clone());
    registry.register("build", "The build", build);
    (Arc::new(registry), tasks)
}

/// 1.5 before the fork, 2 by the child, 4 by the parent afterwards.
fn fork_and_count() {
    let theirs = Theirs::register();
    let published = Publisher::of_prometheus(theirs.registry.clone()).every(NEVER).start().unwrap();
    // Counted, but not copied yet: it is the parent's to copy, and not the child's.
    theirs.count(8.0);
    wait_for_child(fork(|| {
        let own =
            Publisher::of_prometheus(theirs.registry.clone()).after_fork().every(NEVER).start().unwrap();
        theirs.count(2.0);
        // The parent's does nothing here.
        published.publish();
        drop(own);
    }));
    theirs.count(4.0);
    drop(published);
}
