//! Calls: what all instruments count.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Instant;

use headcount::{Buckets, Family, Gauge, GaugeMode, Histogram, InFlight, OrNoop, Registry};
use pin_project_lite::pin_project;

use crate::outcome::Outcome;

/// How many series each metric of an instrument may have in one process.
pub const LIMIT: u32 = 1000;

/// Durations and calls that are going on. A small handle.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    durations: Durations,
    in_flight: Family<Gauge, 1>,
}

/// The labels of a histogram of durations.
#[derive(Clone, Copy, Debug)]
enum Durations {
    Of(Family<Histogram, 3>),
    /// What is done and to what is one thing.
    OfTasks(Family<Histogram, 2>),
}

/// How a metric is called, and what it is.
pub(crate) type Name<'a> = (&'a str, &'a str);

impl Calls {
    pub(crate) fn new(registry: Registry, duration: Name<'_>, in_flight: Name<'_>) -> Self {
        let (name, help) = duration;
        let labels = ["operation", "target", "outcome"];
        let durations = registry.histogram_family(name, help, Buckets::default(), labels).or_noop();
        Self::over(registry, Durations::Of(durations.limited_to(LIMIT)), in_flight, "target")
    }

    pub(crate) fn of_tasks(registry: Registry, duration: Name<'_>, in_flight: Name<'_>) -> Self {
        let (name, help) = duration;
        let durations = registry.histogram_family(name, help, buckets_of_tasks(), ["task", "outcome"]);
        Self::over(registry, Durations::OfTasks(durations.or_noop().limited_to(LIMIT)), in_flight, "task")
    }

    fn over(registry: Registry, durations: Durations, (name, help): Name<'_>, label: &str) -> Self {
        let in_flight = registry.gauge_family(name, help, GaugeMode::LiveSum, [label]).or_noop();
        Self { durations, in_flight: in_flight.limited_to(LIMIT) }
    }

    fn begin<'a>(self, operation: &'a str, target: &'a str) -> Call<'a> {
        let in_flight = self.in_flight.with([target]).in_flight();
        let (durations, start) = (self.durations, Instant::now());
        Call { durations, _in_flight: in_flight, operation, target, start, outcome: None }
    }
}

/// Tasks take longer than what they do.
fn buckets_of_tasks() -> Buckets {
    let bounds = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0];
    Buckets::new(bounds).unwrap_or_default()
}

/// A call that goes on. To drop it ends it: as a panic if there is one, else as cancelled, unless it was said how.
#[derive(Debug)]
#[must_use = "a call that is dropped at once was cancelled"]
pub struct Call<'a> {
    durations: Durations,
    _in_flight: InFlight,
    operation: &'a str,
    target: &'a str,
    start: Instant,
    outcome: Option<Outcome>,
}

impl Call<'_> {
    /// It has ended, and how.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// It has ended with this result.
    pub fn end_with<T, E>(self, result: &Result<T, E>) {
        self.end(if result.is_ok() { Outcome::Success } else { Outcome::Error });
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let given_up = if thread::panicking() { Outcome::Panic } else { Outcome::Cancelled };
        let outcome = self.outcome.unwrap_or(given_up).name();
        let histogram = match self.durations {
            Durations::Of(family) => family.with([self.operation, self.target, outcome]),
            Durations::OfTasks(family) => family.with([self.target, outcome]),
        };
        histogram.observe_duration(self.start.elapsed());
    }
}

/// What calls are counted with.
pub trait Instrument {
    /// Its metrics.
    fn calls(&self) -> Calls;

    /// Begins a call: an operation, such as `select`, on a target, such as a table.
    ///
    /// ```
    /// use headcount_instruments::{External, Instrument, Outcome};
    ///
    /// let external = External::new();
    /// let call = external.begin("charge", "payments");
    /// // … and when it is known how it ended:
    /// call.end(Outcome::Timeout);
    /// # assert!(headcount::render().contains("outcome=\"timeout\"} 1"));
    /// ```
    fn begin<'a>(&self, operation: &'a str, target: &'a str) -> Call<'a> {
        self.calls().begin(operation, target)
    }

    /// Does the work of a call, whose result says how it ended.
    ///
    /// # Errors
    ///
    /// Those of the work.
    fn run<T, E>(&self, operation: &str, target: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let call = self.begin(operation, target);
        let result = work();
        call.end_with(&result);
        result
    }

    /// The same for a future: the call begins now, and ends with it. One that is dropped was cancelled.
    fn watch<'a, F, T, E>(&self, operation: &'a str, target: &'a str, future: F) -> Watched<'a, F>
    where
        F: Future<Output = Result<T, E>>,
    {
        Watched { future, call: Some(self.begin(operation, target)) }
    }
}

pin_project! {
    /// A future whose call ends with it.
    #[must_use = "a future does nothing unless it is polled"]
    pub struct Watched<'a, F> {
        #[pin]
        future: F,
        call: Option<Call<'a>>,
    }
}

impl<F, T, E> Future for Watched<'_, F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, E>> {
        let this = self.project();
        let result = ready!(this.future.poll(context));
        if let Some(call) = this.call.take() {
            call.end_with(&result);
        }
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for Watched<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("call", &self.call).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::Database;

    /// What is counted of work, by outcome.
    fn check(work: impl FnOnce(Database), expected: &[(&str, u32)]) {
        let registry = Registry::private().unwrap();
        work(Database::in_registry(registry));
        let text = registry.render();
        for (outcome, count) in expected {
            let labels = format!("operation=\"select\",target=\"users\",outcome=\"{outcome}\"");
            let sample = format!("db_operation_duration_seconds_count{{{labels}}} {count}\n");
            assert!(text.contains(&sample), "{outcome}: {text}");
        }
        assert_eq!(text.matches("_seconds_count{").count(), expected.len(), "{text}");
        assert!(text.contains("db_operations_in_flight{target=\"users\"} 0\n"), "{text}");
    }

    #[test]
    fn a_result_says_how_a_call_ended() {
        let work = |database: Database| {
            assert_eq!(database.run("select", "users", || Ok::<_, ()>(7)), Ok(7));
            assert_eq!(database.run("select", "users", || Err::<(), _>(7)), Err(7));
            let future = pin!(database.watch("select", "users", ready(Ok::<_, ()>(7))));
            assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        };
        check(work, &[("success", 2), ("error", 1)]);
    }

    #[test]
    fn what_is_dropped_was_cancelled_and_what_panics_panicked() {
        let work = |database: Database| {
            drop(database.begin("select", "users"));
            {
                let mut future = pin!(database.watch("select", "users", pending::<Result<(), ()>>()));
                assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            let work = || database.run("select", "users", || -> Result<(), ()> { panic!("expected") });
            assert!(std::panic::catch_unwind(work).is_err());
            database.begin("select", "users").end(Outcome::Timeout);
        };
        check(work, &[("cancelled", 2), ("panic", 1), ("timeout", 1)]);
    }

    #[test]
    fn targets_without_end_are_one_series_beyond_the_limit() {
        let registry = Registry::private().unwrap();
        let database = Database::in_registry(registry);
        for n in 0..LIMIT + 50 {
            database.begin("select", &n.to_string()).end(Outcome::Success);
        }
        let text = registry.render();
        let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(series("db_operation_duration_seconds_count"), 1001);
        assert_eq!(series("db_operations_in_flight{"), 1001);
    }

    #[test]
    fn durations_of_tasks_have_the_bounds_that_are_written_here() {
        assert_eq!(buckets_of_tasks().bounds().len(), 13);
    }
}
