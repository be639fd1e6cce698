//! The macros of the crate `headcount`, which re-exports them: use them from there.
//!
//! What they expand to names `::headcount`, its public items and `headcount::macros`, nothing else.

mod wrap;

use proc_macro::TokenStream;

use wrap::Measurement;

/// Observes how long a function takes, in seconds.
///
/// The argument is an expression that gives a histogram (a summary, a gauge). It is evaluated before the
/// function's body and sees the arguments: `LATENCY.with([method.as_str()])`. The time is observed however the
/// function ends, by a panic or by the drop of its future, too.
///
/// A closure gives the metric after the body, from a reference to the result. It sees those arguments that the
/// body did not consume. A block that ends in a `move` closure takes along what it needs before the body runs.
/// A function that panics, or is dropped, has no result to choose by, and is not observed.
///
/// An async function is timed from its first poll on, while it waits, too; so is a function whose body is
/// `Box::pin(async move { … })`, which is what the attribute `async_trait` makes, if it stands further out.
///
/// ```
/// use std::sync::LazyLock;
/// use headcount::{Buckets, Family, Histogram, timed};
///
/// static SECONDS: LazyLock<Family<Histogram, 1>> = LazyLock::new(|| {
///     Histogram::family("job_seconds", "How long jobs take.", Buckets::default(), ["job"]).unwrap()
/// });
///
/// #[timed(SECONDS.with([name]))]
/// fn run(name: &str) {}
///
/// #[timed(|done| SECONDS.with([if done.is_ok() { "parsed" } else { "not parsed" }]))]
/// fn parse(text: &str) -> Result<u8, std::num::ParseIntError> {
///     Ok(text.parse::<u8>()? + 1)
/// }
///
/// #[timed({ let name = name.clone(); move |_| SECONDS.with([&name]) })]
/// fn consume(name: String) {
///     drop(name);
/// }
///
/// run("backup");
/// assert!(parse("x").is_err());
/// consume("feed".to_owned());
/// let text = headcount::render();
/// for job in ["backup", "not parsed", "feed"] {
///     assert!(text.contains(&format!("job_seconds_count{{job=\"{job}\"}} 1\n")), "{text}");
/// }
/// ```
#[proc_macro_attribute]
pub fn timed(metric: TokenStream, function: TokenStream) -> TokenStream {
    expand(Measurement::Time, metric, function)
}

/// Counts the calls of a function.
///
/// The argument is an expression that gives a counter, evaluated before the body: then the call is counted
/// when it begins. A closure gives the counter after the body, from a reference to the result: then it is
/// counted when it returns. As to what they see, and to async functions, see [`macro@timed`].
///
/// ```
/// use std::sync::LazyLock;
/// use headcount::{Counter, Family, counted};
///
/// static LOOKUPS: LazyLock<Family<Counter, 1>> =
///     LazyLock::new(|| Counter::family("lookups", "Lookups.", ["found"]).unwrap());
///
/// struct Cache(Vec<u32>);
///
/// impl Cache {
///     #[counted(|found| LOOKUPS.with([if found.is_some() { "yes" } else { "no" }]))]
///     fn get(&self, at: usize) -> Option<&u32> {
///         self.0.get(at)
///     }
/// }
///
/// Cache(vec![7]).get(1);
/// assert!(headcount::render().contains("lookups_total{found=\"no\"} 1\n"));
/// ```
#[proc_macro_attribute]
pub fn counted(metric: TokenStream, function: TokenStream) -> TokenStream {
    expand(Measurement::Calls, metric, function)
}

/// Counts 1 in a gauge while a function runs, until its end, whatever that is. Sum the gauge over living
/// processes: `GaugeMode::LiveSum`. The argument is an expression that gives the gauge; a closure it cannot be,
/// for there is no result yet.
///
/// ```
/// use std::sync::LazyLock;
/// use headcount::{Gauge, GaugeMode, in_flight};
///
/// static GOING_ON: LazyLock<Gauge> =
///     LazyLock::new(|| Gauge::new("jobs_in_flight", "Jobs going on.", GaugeMode::LiveSum).unwrap());
///
/// #[in_flight(GOING_ON)]
/// fn job() -> Option<f64> {
///     GOING_ON.get()
/// }
///
/// assert_eq!(job(), Some(1.0));
/// assert_eq!(GOING_ON.get(), Some(0.0));
/// ```
#[proc_macro_attribute]
pub fn in_flight(metric: TokenStream, function: TokenStream) -> TokenStream {
    expand(Measurement::InFlight, metric, function)
}

/// Counts the calls of a function that return `Err`.
///
/// The argument is an expression that gives a counter, which is there, at 0, from the first call on. A closure
/// gives the counter of an error, from a reference to it. As to what they see, and to async functions, see
/// [`macro@timed`].
///
/// ```
/// use std::sync::LazyLock;
/// use headcount::{Counter, Family, count_errors};
///
/// static ERRORS: LazyLock<Family<Counter, 1>> =
///     LazyLock::new(|| Counter::family("read_errors", "Files not read.", ["reason"]).unwrap());
///
/// #[count_errors(|error| ERRORS.with([&error.kind().to_string()]))]
/// fn read(path: &str) -> std::io::Result<String> {
///     std::fs::read_to_string(path)
/// }
///
/// assert!(read("/no/such/file").is_err());
/// assert!(headcount::render().contains("read_errors_total{reason=\"entity not found\"} 1\n"));
/// ```
#[proc_macro_attribute]
pub fn count_errors(metric: TokenStream, function: TokenStream) -> TokenStream {
    expand(Measurement::Errors, metric, function)
}

fn expand(measurement: Measurement, metric: TokenStream, function: TokenStream) -> TokenStream {
    let expanded =
        syn::parse(metric).and_then(|metric| wrap::function(measurement, metric, syn::parse(function)?));
    expanded.unwrap_or_else(|error| error.into_compile_error()).into()
}
