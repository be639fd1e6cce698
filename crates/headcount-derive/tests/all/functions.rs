//! Functions of every kind stay what they are and are measured.

use std::num::ParseIntError;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use headcount::{
    Buckets, Counter, Family, Gauge, GaugeMode, Histogram, Registry, count_errors, counted, in_flight, timed,
};

struct Metrics {
    registry: Registry,
    calls: Family<Counter, 1>,
    errors: Counter,
    seconds: Family<Histogram, 1>,
    running: Gauge,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let registry = Registry::private().unwrap();
    Metrics {
        registry,
        calls: registry.counter_family("calls", "", ["of"]).unwrap(),
        errors: registry.counter("errors", "").unwrap(),
        seconds: registry.histogram_family("seconds", "", Buckets::default(), ["of"]).unwrap(),
        running: registry.gauge("running", "", GaugeMode::LiveSum).unwrap(),
    }
});

fn shown(line: &str) -> bool {
    METRICS.registry.render().lines().any(|shown| shown == line)
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Debug)]
struct Shelf {
    books: Vec<String>,
}

impl Shelf {
    /// Gives away what it has borrowed mutably, through a closure.
    #[counted(|book| METRICS.calls.with([if book.is_some() { "found" } else { "missed" }]))]
    fn first(&mut self) -> Option<&mut String> {
        self.books.first_mut()
    }

    #[timed({ let of = format!("{} books", self.books.len()); move |_| METRICS.seconds.with([&of]) })]
    fn take(self) -> Vec<String> {
        self.books
    }

    #[counted(|longest| METRICS.calls.with([*longest]))]
    fn longest<'a>(&'a self, other: &'a str) -> &'a str {
        self.books.iter().map(String::as_str).chain([other]).max_by_key(|book| book.len()).unwrap_or(other)
    }

    #[counted(METRICS.calls.with(["titles"]))]
    fn titles(&self) -> impl Iterator<Item = &str> {
        self.books.iter().map(String::as_str)
    }

    #[timed(|_| METRICS.seconds.with(["lengths"]))]
    fn lengths(&self) -> impl Iterator<Item = usize> {
        self.books.iter().map(String::len)
    }
}

#[test]
fn methods_borrow_and_consume_as_before() {
    let mut shelf = Shelf { books: vec!["Emma".to_owned()] };
    shelf.first().unwrap().push('!');
    assert_eq!(shelf.longest("Ulysses"), "Ulysses");
    assert_eq!(shelf.titles().collect::<Vec<_>>(), ["Emma!"]);
    assert_eq!(shelf.lengths().sum::<usize>(), 5);
    assert_eq!(shelf.take(), ["Emma!"]);
    for of in ["found", "Ulysses", "titles"] {
        assert!(shown(&format!("calls_total{{of=\"{of}\"}} 1")), "{of}");
    }
    assert!(shown("seconds_count{of=\"1 books\"} 1"));
    assert!(shown("seconds_count{of=\"lengths\"} 1"));
}

#[count_errors(METRICS.errors)]
#[counted(|parsed| METRICS.calls.with([if parsed.is_ok() { "number" } else { "no number" }]))]
#[timed(METRICS.seconds.with([text]))]
fn parse(text: &str) -> Result<u8, ParseIntError> {
    if text.is_empty() {
        return Ok(0);
    }
    let number: u8 = text.parse()?;
    Ok(number)
}

#[test]
fn attributes_may_stand_above_each_other_and_see_early_returns() {
    assert_eq!((parse(""), parse("7")), (Ok(0), Ok(7)));
    assert!(shown("errors_total 0"));
    assert!(parse("x").is_err());
    assert!(shown("errors_total 1"));
    assert!(shown("calls_total{of=\"number\"} 2"));
    assert!(shown("calls_total{of=\"no number\"} 1"));
    assert!(shown("seconds_count{of=\"x\"} 1"));
    assert!(open("/no/such/file".to_owned()).is_err());
    assert!(shown("calls_total{of=\"/no/such/file\"} 1"));
}

#[count_errors(|error| METRICS.calls.with([error.as_str()]))]
async fn wait(failure: Option<String>) -> Result<(), String> {
    std::future::ready(()).await;
    match failure {
        Some(failure) => Err(failure)?,
        None => Ok(()),
    }
}

#[count_errors({ let name = name.clone(); move |_| METRICS.calls.with([&name]) })]
fn open(name: String) -> std::io::Result<std::fs::File> {
    std::fs::File::open(name)
}

#[in_flight(METRICS.running)]
#[timed({ let of = of.clone(); move |_| METRICS.seconds.with([&of]) })]
async fn consume(of: String) -> Option<f64> {
    drop(of);
    METRICS.running.get()
}

/// As the attribute `async_trait` leaves a method.
#[timed(|length| METRICS.seconds.with([if *length == 3 { "boxed" } else { "long" }]))]
fn boxed(text: &str) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    Box::pin(async move {
        std::future::ready(()).await;
        text.len()
    })
}

#[expect(clippy::manual_async_fn, reason = "some are written so")]
#[timed(METRICS.seconds.with(["desugared"]))]
fn desugared() -> impl Future<Output = ()> + Send {
    async move { std::future::ready(()).await }
}

#[test]
fn async_functions_are_measured_while_they_run() {
    assert_eq!(poll(wait(None)), Poll::Ready(Ok(())));
    assert!(poll(wait(Some("flood".to_owned()))).is_ready());
    assert!(shown("calls_total{of=\"flood\"} 1"));
    drop(consume("never polled".to_owned()));
    assert_eq!(poll(consume("polled".to_owned())), Poll::Ready(Some(1.0)));
    assert_eq!(METRICS.running.get(), Some(0.0));
    assert!(shown("seconds_count{of=\"polled\"} 1") && !shown("seconds_count{of=\"never polled\"} 1"));
    let future = desugared();
    assert!(!shown("seconds_count{of=\"desugared\"} 1"));
    assert!(poll(future).is_ready());
    assert!(shown("seconds_count{of=\"desugared\"} 1"));
    let future = boxed("abc");
    assert!(!shown("seconds_count{of=\"boxed\"} 1"));
    assert_eq!(poll(future), Poll::Ready(3));
    assert!(shown("seconds_count{of=\"boxed\"} 1"));
}

#[timed(METRICS.seconds.with([of]))]
#[counted(METRICS.calls.with([of]))]
fn panics(of: &str) -> u32 {
    panic!("expected")
}

#[test]
fn a_call_that_panics_is_timed_and_counted() {
    assert!(std::panic::catch_unwind(|| panics("panic")).is_err());
    assert!(shown("seconds_count{of=\"panic\"} 1") && shown("calls_total{of=\"panic\"} 1"));
}

#[test]
fn futures_of_measured_functions_may_be_spawned() {
    fn spawn(_: impl Future + Send + 'static) {}
    spawn(wait(None));
    spawn(desugared());
    spawn(consume(String::new()));
}
