//! HTTP metrics for actix-web, over all processes of a prefork server.
//!
//! What is measured, and how that is called, is that of `headcount-tower`: the same options, names and rules.
//!
//! ```
//! use actix_web::{App, HttpRequest, web};
//! use headcount_actix::{HttpMetrics, MetricsEndpoint};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (metrics, endpoint) = (HttpMetrics::new(), MetricsEndpoint::from_environment()?);
//! let app = move || {
//!     let endpoint = endpoint.clone();
//!     App::new()
//!         .route("/users/{id}", web::get().to(async || "Hello"))
//!         .route("/metrics", web::get().to(move |request: HttpRequest| {
//!             let response = endpoint.respond(&request);
//!             async { response }
//!         }))
//!         .wrap(metrics)
//! };
//! # let _ = app();
//! # Ok(())
//! # }
//! ```
//!
//! Read the modules in this order: `head` and `hook`, what an application's functions see; `follower`, what follows a
//! request; `rules`, what is made of it; `middleware`, `payload`, `service` and `body`, through which it goes; and
//! `endpoint`.
#![forbid(unsafe_code)]

mod body;
mod endpoint;
mod follower;
mod head;
mod hook;
mod middleware;
mod payload;
mod rules;
mod service;

pub use body::MeasuredBody;
pub use endpoint::MetricsEndpoint;
pub use head::ResponseHead;
pub use headcount_http::{
    BuildError, CLIENT_GONE, CONTENT_TYPE, Credentials, DoNotTrack, Exemplar, Exposition, Label, Metric,
    OTHER, Options, Outcome, Preset, Report, Reporter, SoleListener, StatusLabel, TokenUsage, do_not_track,
    track_error, track_exemplar, track_tokens,
};
pub use hook::Hook;
pub use middleware::{Builder, HttpMetrics};
pub use service::{Measured, ResponseFuture};
