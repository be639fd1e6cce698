//! Queues of messages.

use std::time::Duration;

use headcount::{Buckets, Family, Gauge, GaugeMode, Histogram, OrNoop, Registry};

use crate::call::{Calls, Instrument, LIMIT};

/// Counts what is done with queues: by operation, such as `publish`, `receive` and `process`, and by queue. A small handle.
///
/// ```
/// use std::time::Duration;
/// use headcount_instruments::{Instrument, Queue};
///
/// let queue = Queue::new();
/// queue.waited("mails", Duration::from_millis(300));
/// queue.run("process", "mails", || Ok::<_, ()>(()))?;
/// queue.depth("mails", 12);
/// let text = headcount::render();
/// assert!(text.contains("queue_depth{target=\"mails\"} 12\n"));
/// assert!(text.contains("queue_wait_seconds_count{target=\"mails\"} 1\n"));
/// # Ok::<(), ()>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    calls: Calls,
    waits: Family<Histogram, 1>,
    depths: Family<Gauge, 1>,
}

impl Queue {
    /// In the default registry.
    #[expect(clippy::new_without_default, reason = "it registers metrics, which is no default")]
    #[must_use]
    pub fn new() -> Self {
        Self::in_registry(Registry::global().or_noop())
    }

    /// In this registry, which may put a prefix or labels on its metrics.
    #[must_use]
    pub fn in_registry(registry: Registry) -> Self {
        let calls = Calls::new(
            registry,
            ("queue_operation_duration_seconds", "Seconds that operations of queues take."),
            ("queue_operations_in_flight", "Operations of queues that are going on."),
        );
        let (name, help) = ("queue_wait_seconds", "Seconds that messages have waited in queues.");
        let waits = registry.histogram_family(name, help, Buckets::default(), ["target"]).or_noop();
        let (name, help) = ("queue_depth", "Messages that wait in queues, as it was said last.");
        let depths = registry.gauge_family(name, help, GaugeMode::MostRecent, ["target"]).or_noop();
        Self { calls, waits: waits.limited_to(LIMIT), depths: depths.limited_to(LIMIT) }
    }

    /// A message has waited so long before it was received.
    pub fn waited(&self, queue: &str, time: Duration) {
        self.waits.with([queue]).observe_duration(time);
    }

    /// So many messages wait. All processes see the same queue, so what was said last counts.
    pub fn depth(&self, queue: &str, messages: u32) {
        self.depths.with([queue]).set(messages.into());
    }
}

impl Instrument for Queue {
    fn calls(&self) -> Calls {
        self.calls
    }
}
