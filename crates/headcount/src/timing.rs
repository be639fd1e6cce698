//! Durations: guards that observe when they are dropped, and futures that are measured.
//!
//! A guard counts whatever ends its scope: a return, a `?`, a panic, a future that is dropped half done.
//! Time is the clock's, not the processor's: a future that waits is timed while it waits.

use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::exemplar::IntoExemplar;
use crate::gauge::Gauge;
use crate::histogram::Histogram;
use crate::level::{InFlight, Level};
use crate::native::NativeHistogram;
use crate::summary::Summary;

/// What takes durations, in seconds: histograms, summaries, gauges (which keep the last one), and whatever
/// leads to one, such as a `LazyLock`.
///
/// ```
/// use std::time::Duration;
/// use headcount::{Observe, OrNoop, Summary};
///
/// fn note(metric: &impl Observe) {
///     metric.record(Duration::from_secs(2));
/// }
///
/// note(&Summary::new("naps_seconds", "How long naps take.").or_noop());
/// assert!(headcount::render().contains("naps_seconds_sum 2\n"));
/// ```
pub trait Observe {
    /// Records a duration.
    fn record(&self, duration: Duration);

    /// Records a duration, and keeps an exemplar of it where there can be any: in a histogram.
    fn record_with_exemplar(&self, duration: Duration, exemplar: impl IntoExemplar)
    where
        Self: Sized,
    {
        let _ = exemplar;
        self.record(duration);
    }
}

impl Observe for Histogram {
    #[inline]
    fn record(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    fn record_with_exemplar(&self, duration: Duration, exemplar: impl IntoExemplar) {
        self.observe_duration_with_exemplar(duration, exemplar);
    }
}

impl Observe for NativeHistogram {
    #[inline]
    fn record(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    fn record_with_exemplar(&self, duration: Duration, exemplar: impl IntoExemplar) {
        self.observe_duration_with_exemplar(duration, exemplar);
    }
}

impl Observe for Summary {
    #[inline]
    fn record(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }
}

impl Observe for Gauge {
    #[inline]
    fn record(&self, duration: Duration) {
        self.set(duration.as_secs_f64());
    }
}

impl<P: Deref<Target: Observe + Sized>> Observe for P {
    #[inline]
    fn record(&self, duration: Duration) {
        (**self).record(duration);
    }

    fn record_with_exemplar(&self, duration: Duration, exemplar: impl IntoExemplar) {
        (**self).record_with_exemplar(duration, exemplar);
    }
}

/// Observes the seconds from its start to its end.
///
/// ```
/// use headcount::{Buckets, Histogram};
///
/// let histogram = Histogram::new("backup_seconds", "How long backups take.", Buckets::default())?;
/// let timer = histogram.start_timer();
/// let backed_up = true;
/// if backed_up {
///     timer.observe_duration();
/// } else {
///     timer.discard();
/// }
/// assert!(headcount::render().contains("backup_seconds_count 1\n"));
/// # Ok::<(), headcount::RegisterError>(())
/// ```
#[derive(Debug)]
#[must_use = "a timer that is dropped at once measures nothing"]
pub struct Timer<M: Observe = Histogram> {
    /// `None` once there is nothing left to observe.
    metric: Option<M>,
    start: Instant,
}

impl<M: Observe> Timer<M> {
    /// Starts now.
    pub fn start(metric: M) -> Self {
        Self { metric: Some(metric), start: Instant::now() }
    }

    /// Observes now, and returns what was observed.
    pub fn observe_duration(mut self) -> Duration {
        let elapsed = self.start.elapsed();
        if let Some(metric) = self.metric.take() {
            metric.record(elapsed);
        }
        elapsed
    }

    /// Observes now, keeps an exemplar of it, and returns what was observed.
    pub fn observe_duration_with_exemplar(mut self, exemplar: impl IntoExemplar) -> Duration {
        let elapsed = self.start.elapsed();
        if let Some(metric) = self.metric.take() {
            metric.record_with_exemplar(elapsed, exemplar);
        }
        elapsed
    }

    /// Observes now in `other`, whose labels are known only at the end, and returns what was observed.
    pub fn observe_in(mut self, other: &impl Observe) -> Duration {
        self.metric = None;
        let elapsed = self.start.elapsed();
        other.record(elapsed);
        elapsed
    }

    /// Ends without observing anything.
    pub fn discard(mut self) {
        self.metric = None;
    }
}

impl<M: Observe> Drop for Timer<M> {
    fn drop(&mut self) {
        if let Some(metric) = &self.metric {
            metric.record(self.start.elapsed());
        }
    }
}

impl Summary {
    /// Counts a duration, in seconds.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        self.record(duration);
    }

    /// Starts a timer, which observes the seconds until it is dropped.
    pub fn start_timer(&self) -> Timer<Self> {
        Timer::start(*self)
    }

    /// Runs `work` and observes the seconds that it took, even if it panics.
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let _timer = self.start_timer();
        work()
    }
}

impl Gauge {
    /// Starts a timer, which sets the gauge to the seconds until it is dropped.
    pub fn start_timer(&self) -> Timer<Self> {
        Timer::start(*self)
    }

    /// Runs `work` and sets the gauge to the seconds that it took, even if it panics.
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let _timer = self.start_timer();
        work()
    }
}

/// Futures that are measured, under any runtime.
///
/// What is measured begins with the first poll and ends when the future is done or dropped: one that is
/// never polled counts nowhere.
///
/// ```
/// use std::sync::LazyLock;
/// use headcount::{Buckets, Gauge, GaugeMode, Histogram, Measure};
///
/// static FETCH: LazyLock<Histogram> = LazyLock::new(|| {
///     Histogram::new("fetch_seconds", "How long fetches take.", Buckets::default()).unwrap()
/// });
/// static FETCHES: LazyLock<Gauge> = LazyLock::new(|| {
///     Gauge::new("fetches", "Fetches going on.", GaugeMode::LiveSum).unwrap()
/// });
///
/// async fn fetch() -> u32 {
///     200
/// }
///
/// # block_on(async {
/// assert_eq!(fetch().timed(&FETCH).in_flight(&FETCHES).await, 200);
/// # });
/// assert!(headcount::render().contains("fetch_seconds_count 1\n"));
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop {
/// #         if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) { return done; }
/// #     }
/// # }
/// ```
pub trait Measure: Future + Sized {
    /// Records how long it takes: in a handle, or in what leads to one.
    fn timed<M: Observe>(self, metric: M) -> impl Future<Output = Self::Output>;

    /// Counts it in a gauge while it runs: by a handle, or what leads to one.
    fn in_flight<G: Level>(self, gauge: G) -> impl Future<Output = Self::Output>;
}

impl<F: Future> Measure for F {
    async fn timed<M: Observe>(self, metric: M) -> F::Output {
        let _timer = Timer::start(metric);
        self.await
    }

    async fn in_flight<G: Level>(self, gauge: G) -> F::Output {
        let _guard = InFlight::start(gauge);
        self.await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::sync::LazyLock;
    use std::task::{Context, Poll, Waker};

    use headcount_store::metric::GaugeMode;

    use super::*;
    use crate::buckets::Buckets;
    use crate::native_buckets::NativeBuckets;
    use crate::registry::Registry;

    fn poll<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_timer_observes_once_unless_it_is_discarded() {
        let registry = Registry::private().unwrap();
        let histogram = registry.histogram("h", "", Buckets::default()).unwrap();
        drop(histogram.start_timer());
        histogram.start_timer().observe_duration();
        histogram.start_timer().discard();
        assert_eq!(histogram.time(|| 7), 7);
        let panicked = std::panic::catch_unwind(|| histogram.time(|| panic!("expected")));
        assert!(panicked.is_err());
        assert!(registry.render().contains("h_count 4\n"));
    }

    #[test]
    fn a_timer_observes_in_the_metric_that_is_known_at_its_end_and_nowhere_else() {
        let registry = Registry::private().unwrap();
        let begun = registry.histogram("begun", "", Buckets::default()).unwrap();
        let ended = registry.summary("ended", "").unwrap();
        begun.start_timer().observe_in(&ended);
        let text = registry.render();
        assert!(text.contains("begun_count 0\n") && text.contains("ended_count 1\n"), "{text}");
    }

    #[test]
    fn a_timer_keeps_an_exemplar_where_there_can_be_any() {
        let registry = Registry::private().unwrap();
        let histogram = registry.histogram("h", "", Buckets::default()).unwrap();
        let native = registry.native_histogram("n", "", NativeBuckets::default()).unwrap();
        let summary = registry.summary("s", "").unwrap();
        native.start_timer().observe_duration_with_exemplar([("id", "c")]);
        Timer::start(&histogram).observe_duration_with_exemplar([("id", "a")]);
        summary.start_timer().observe_duration_with_exemplar([("id", "b")]);
        let text = registry.render();
        assert!(text.contains("h_count 1\n") && text.contains("s_count 1\n"), "{text}");
        let store = registry.store().unwrap();
        let image = headcount_store::write::Registration::begin().image(store).unwrap();
        assert_eq!(image.cells().exemplars().count(), 2);
    }

    #[test]
    fn a_summary_adds_the_seconds_and_a_gauge_keeps_the_last() {
        let registry = Registry::private().unwrap();
        let summary = registry.summary("s", "").unwrap();
        let gauge = registry.gauge("g", "", GaugeMode::LiveMax).unwrap();
        assert_eq!((summary.time(|| 1), gauge.time(|| 2)), (1, 2));
        summary.observe_duration(Duration::from_secs(4));
        gauge.record(Duration::from_secs(3));
        let text = registry.render();
        assert!(
            text.contains("s_count 2\n") && text.contains("s_sum 4.") && text.contains("g 3\n"),
            "{text}"
        );
    }

    #[test]
    fn a_future_is_measured_from_its_first_poll_until_it_is_done_or_dropped() {
        let registry = Registry::private().unwrap();
        let histogram = registry.histogram("h", "", Buckets::default()).unwrap();
        let gauge = registry.gauge("g", "", GaugeMode::LiveSum).unwrap();
        drop(ready(1).timed(&histogram));
        assert!(registry.render().contains("h_count 0\n"));
        assert_eq!(poll(ready(1).timed(&histogram)), Poll::Ready(1));
        assert!(registry.render().contains("h_count 1\n"));
        {
            let mut waiting = pin!(pending::<()>().timed(&histogram).in_flight(&gauge));
            let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            assert_eq!(gauge.get(), Some(1.0));
            assert!(registry.render().contains("h_count 1\n"));
        }
        assert_eq!(gauge.get(), Some(0.0));
        assert!(registry.render().contains("h_count 2\n"));
    }

    #[test]
    fn a_measured_future_may_be_spawned_if_the_future_may() {
        static H: LazyLock<Histogram> =
            LazyLock::new(|| Registry::private().unwrap().histogram("h", "", Buckets::default()).unwrap());
        fn spawn(_: impl Future<Output = i32> + Send + 'static) {}
        spawn(ready(1).timed(&H));
        spawn(ready(1).timed(*H));
    }
}
