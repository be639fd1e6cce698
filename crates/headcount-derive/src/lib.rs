//! The macros of the crate `headcount`, which re-exports them: use them from there.
//!
//! What they expand to names `::headcount`, its public items and `headcount::macros`, nothing else.

mod attribute;
mod case;
mod labels;
mod metric;
mod value;
mod wrap;

use proc_macro::TokenStream;
use syn::parse::Parser;

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
/// An async function is timed from its first poll on, while it waits, too; so is a function whose body ends in
/// `async move { … }`, or in `Box::pin(async move { … })`, which is what the attribute `async_trait` makes, if it
/// stands further out.
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

/// Declares a metric: its name, kind, labels and help text, in one item.
///
/// The item is a function without a body. Its name is the metric's, its parameters are the labels, its return type
/// is the kind, the first paragraph of its doc comment the help text. Whoever calls it gets the metric with these
/// labels. It is created at the first call; what cannot be created is a no-op (see `headcount::OrNoop`).
///
/// | Option | What it does |
/// |---|---|
/// | `mode = GaugeMode::LiveSum` | says what becomes of many processes' values; a gauge needs it |
/// | `buckets = [0.1, 1.0]` | the bounds of a histogram: an array, `Buckets`, or what makes some. Otherwise the default |
/// | `states = ["on", "off"]` | the states of a `StateSet`, unless it is one of an enum |
/// | `limit = 500` | how many series there may be in one process; see `Family::limited_to` |
/// | `expire_after = Duration::from_secs(3600)` | removes series that are idle for so long; see `Family::expire_after` |
/// | `removable` | offers `NAME::remove(labels…)`, which tells whether there was such a series, and `NAME::clear()`; see `Family::remove` |
/// | `unit = "seconds"` | the unit, which the name gets as its ending if it has it not; see `Registry::with_unit` |
/// | `name = "http_requests"` | another name than the function's |
/// | `registry = SHOP` | another registry than the default |
///
/// A parameter is of a type that is a `LabelValue`, whose lifetimes are left out, and takes the attributes of a
/// field that derives [`macro@Labels`]: `#[label(rename = "type")]`, `#[label(flatten)]`.
///
/// Only a function that is `removable` takes a second name, that of a type: beside it there is an `enum` that is
/// called as it is, is as visible, and comes along with its import. So no module, type or crate that is used there may
/// be called the same.
///
/// ```
/// use headcount::{Counter, Gauge, GaugeMode, LabelValue, metric};
///
/// #[derive(LabelValue)]
/// enum Method {
///     Get,
///     Post,
/// }
///
/// /// Requests answered.
/// #[metric]
/// pub fn http_requests(method: Method, route: &str, #[label(rename = "code")] status: u16) -> Counter;
///
/// /// Connections that are open.
/// #[metric(mode = GaugeMode::LiveSum)]
/// fn connections() -> Gauge;
///
/// /// Jobs of each customer.
/// #[metric(removable)]
/// fn jobs(customer: &str) -> Counter;
///
/// connections().inc();
/// http_requests(Method::Post, "/users", 201).inc();
/// let text = headcount::render();
/// assert!(text.contains("# HELP http_requests_total Requests answered.\n"));
/// assert!(text.contains("http_requests_total{method=\"post\",route=\"/users\",code=\"201\"} 1\n"));
///
/// jobs("acme").inc();
/// assert!(jobs::remove("acme"));
/// assert!(!headcount::render().contains("acme"));
/// ```
#[proc_macro_attribute]
pub fn metric(options: TokenStream, declaration: TokenStream) -> TokenStream {
    let expanded = Parser::parse(metric::Options::parse, options)
        .and_then(|options| metric::declare(&options, &syn::parse(declaration)?));
    expanded.unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Makes a struct a set of labels: each field is one, and its type a `LabelValue`: an enum that derives it, an
/// integer, a boolean, `&str`, `String`, `Cow<str>`, `Literal`, or an `Option` of these.
///
/// | Attribute | Where | What it does |
/// |---|---|---|
/// | `#[label(rename = "type")]` | field | calls the label so, and not as the field |
/// | `#[label(skip)]` | field | the field is no label |
/// | `#[label(flatten)]` | field | the field is a label set itself, whose labels join in |
/// | `#[label(flatten, prefix = "peer_")]` | field | the same, with this before their names |
/// | `#[label(prefix = "http_")]` | struct | this stands before the names of all labels |
///
/// What cannot be a label is an error that names the field.
///
/// ```
/// use headcount::{LabelValue, Labels};
///
/// #[derive(LabelValue)]
/// enum Method {
///     Get,
///     #[label(rename = "PUT")]
///     Put,
/// }
///
/// #[derive(Labels)]
/// struct Peer<'a> {
///     zone: &'a str,
///     port: Option<u16>,
/// }
///
/// #[derive(Labels)]
/// struct Request<'a> {
///     method: Method,
///     r#type: &'static str,
///     #[label(flatten, prefix = "peer_")]
///     peer: Peer<'a>,
///     #[label(skip)]
///     bytes: u64,
/// }
///
/// let mut names = Vec::new();
/// Request::names("", &mut names);
/// assert_eq!(names, ["method", "type", "peer_zone", "peer_port"]);
///
/// let peer = Peer { zone: "eu", port: Some(443) };
/// let request = Request { method: Method::Put, r#type: "json", peer, bytes: 7 };
/// let mut values = Vec::new();
/// request.visit(&mut |value| values.push(value.to_string()));
/// assert_eq!(values, ["PUT", "json", "eu", "443"]);
/// ```
#[proc_macro_derive(Labels, attributes(label))]
pub fn derive_labels(input: TokenStream) -> TokenStream {
    syn::parse(input)
        .and_then(|input| labels::derive(&input))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes an enum without fields the value of a label, which is found by the variant's number. A struct around
/// one value, `struct Route<'a>(&'a str)`, stands for what it holds.
///
/// A variant's text is its name in `snake_case`. `#[label(rename_all = "UPPERCASE")]` at the enum chooses another
/// case (`lowercase`, `UPPERCASE`, `PascalCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`),
/// `#[label(rename = "GET")]` at a variant another text.
///
/// ```
/// use headcount::LabelValue;
///
/// #[derive(LabelValue)]
/// #[label(rename_all = "kebab-case")]
/// enum Outcome {
///     Done,
///     TimedOut,
///     #[label(rename = "5xx")]
///     ServerError,
/// }
///
/// let text = |outcome: Outcome| outcome.value().to_string();
/// assert_eq!([Outcome::Done, Outcome::TimedOut, Outcome::ServerError].map(text), ["done", "timed-out", "5xx"]);
/// ```
#[proc_macro_derive(LabelValue, attributes(label))]
pub fn derive_label_value(input: TokenStream) -> TokenStream {
    syn::parse(input)
        .and_then(|input| value::derive(&input))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn expand(measurement: Measurement, metric: TokenStream, function: TokenStream) -> TokenStream {
    let expanded =
        syn::parse(metric).and_then(|metric| wrap::function(measurement, metric, syn::parse(function)?));
    expanded.unwrap_or_else(|error| error.into_compile_error()).into()
}
