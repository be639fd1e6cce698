//! Tasks in the background.

use headcount::{Family, Gauge, GaugeMode, OrNoop, Registry};

use crate::call::{Calls, Instrument, LIMIT};

/// Counts tasks in the background by their names. A small handle.
///
/// ```
/// use headcount_instruments::Tasks;
///
/// let tasks = Tasks::new();
/// tasks.run("clean-up", || Ok::<_, ()>(()))?;
/// let text = headcount::render();
/// assert!(text.contains("task_duration_seconds_count{task=\"clean-up\",outcome=\"success\"} 1\n"));
/// assert!(text.contains("task_last_success_timestamp_seconds{task=\"clean-up\"} "));
/// # Ok::<(), ()>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tasks {
    calls: Calls,
    successes: Family<Gauge, 1>,
}

impl Tasks {
    /// In the default registry.
    #[expect(clippy::new_without_default, reason = "it registers metrics, which is no default")]
    #[must_use]
    pub fn new() -> Self {
        Self::in_registry(Registry::global().or_noop())
    }

    /// In this registry, which may put a prefix or labels on its metrics.
    #[must_use]
    pub fn in_registry(registry: Registry) -> Self {
        let calls = Calls::of_tasks(
            registry,
            ("task_duration_seconds", "Seconds that tasks in the background take."),
            ("tasks_in_flight", "Tasks in the background that are going on."),
        );
        let help = "When a task in the background has succeeded last, in seconds since 1970.";
        let name = "task_last_success_timestamp_seconds";
        let successes = registry.gauge_family(name, help, GaugeMode::Max, ["task"]).or_noop();
        Self { calls, successes: successes.limited_to(LIMIT) }
    }

    /// Does a task, whose result says how it ended.
    ///
    /// # Errors
    ///
    /// Those of the task.
    pub fn run<T, E>(&self, task: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let result = Instrument::run(self, "", task, work);
        self.succeeded(task, &result);
        result
    }

    /// The same for a future. One that is dropped was cancelled.
    ///
    /// # Errors
    ///
    /// Those of the task.
    pub async fn watch<T, E>(&self, task: &str, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let result = Instrument::watch(self, "", task, future).await;
        self.succeeded(task, &result);
        result
    }

    fn succeeded<T, E>(&self, task: &str, result: &Result<T, E>) {
        if result.is_ok() {
            self.successes.with([task]).set_to_current_time();
        }
    }
}

/// Tasks have a name, which is the target, and no operation.
impl Instrument for Tasks {
    fn calls(&self) -> Calls {
        self.calls
    }
}
