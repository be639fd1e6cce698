//! Exemplars from the current span of `tracing`, where it is one of OpenTelemetry's.
//!
//! One line keeps the trace of each request with its count and its durations:
//!
//! ```
//! use headcount_tower::{HttpMetrics, Options};
//!
//! let metrics = HttpMetrics::builder(Options::new())
//!     .exemplar_from(|_| headcount_tracing::current_span())
//!     .build()?;
//! # let _ = metrics;
//! # Ok::<(), headcount_tower::BuildError>(())
//! ```
//!
//! The span has to be there when the request comes to the middleware: add the layer that makes spans after that of the
//! metrics, so that it is outside of it. And metrics of one's own:
//!
//! ```
//! # let histogram = headcount::Registry::private().unwrap().histogram("h", "", headcount::Buckets::default()).unwrap();
//! histogram.observe_with_exemplar(0.3, headcount_tracing::current_span());
//! ```
//!
//! `tracing-opentelemetry` finds the spans of a subscriber of its own release only: let the application have the same.
#![forbid(unsafe_code)]

use headcount::Exemplar;
use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The trace and the span that this thread is in; `None` without any, and if the trace is not sampled: then it cannot be
/// found anywhere.
#[must_use]
pub fn current_span() -> Option<Exemplar> {
    let context = Span::current().context();
    let span = context.span();
    let known = span.span_context();
    let (trace, span) = (known.trace_id().to_bytes(), known.span_id().to_bytes());
    let is_found = known.is_valid() && known.is_sampled();
    is_found.then(|| Exemplar::of_trace(u128::from_be_bytes(trace), u64::from_be_bytes(span)))
}
