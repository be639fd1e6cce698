//! HTTP metrics for axum, hyper, tonic and anything tower, over all processes of a prefork server.
//!
//! One line instruments an application, one more exposes the metrics; each works without the other:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::get};
//! use headcount_tower::{HttpMetrics, MetricsEndpoint};
//!
//! let app = Router::new()
//!     .route("/users/{id}", get(async || "Hello"))
//!     .route_service("/metrics", MetricsEndpoint::from_environment()?);
//! let app = HttpMetrics::new().around(app);
//! // axum::serve(listener, app)
//! # let _ = app;
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! [`HttpMetrics`] is also a layer, for services of all kinds and for routers that are to stay routers. In axum, add it
//! after the routes: a route that is added later is not measured.
//!
//! What is measured, and how that is called, is for [`Options`] to say; functions of the application's are
//! added to the [`Builder`]:
//!
//! ```
//! use headcount_tower::{HttpMetrics, Metric, Options, Preset, StatusLabel};
//! use std::borrow::Cow;
//!
//! let metrics = HttpMetrics::builder(Options::new().preset(Preset::AxumPrometheus).with_streams())
//!     .route(|request| Some(Cow::Borrowed(request.uri.path())))
//!     .label("tenant", |request| match request.headers.get("x-tenant") {
//!         Some(tenant) => String::from_utf8_lossy(tenant.as_bytes()),
//!         None => Cow::Borrowed("none"),
//!     })
//!     .build()?;
//! # let _ = metrics;
//! # Ok::<(), headcount_tower::BuildError>(())
//! ```
//!
//! A handler reports about its request by [`track_error`], [`track_tokens`] and [`do_not_track`]; what it
//! spawns takes a [`Reporter`] along.
//!
//! Read the modules in this order: `head` and `hook`, what an application's functions see; `rules`, what is
//! made of it; `layer`, `service`, `request`, `future` and `body`, through which a request goes; `router`, around one of
//! axum's; and `endpoint`.
#![forbid(unsafe_code)]

mod body;
mod endpoint;
mod future;
mod head;
mod hook;
mod layer;
mod request;
#[cfg(feature = "axum")]
mod router;
mod rules;
mod service;

pub use body::MeasuredBody;
pub use endpoint::MetricsEndpoint;
pub use future::ResponseFuture;
pub use head::{RequestHead, ResponseHead};
pub use headcount_http::{
    BuildError, CLIENT_GONE, CONTENT_TYPE, Credentials, DoNotTrack, Exemplar, Exposition, Label, Metric,
    OTHER, Options, Outcome, Preset, Report, Reporter, SoleListener, StatusLabel, TokenUsage, do_not_track,
    track_error, track_exemplar, track_tokens,
};
pub use hook::Hook;
pub use layer::{Builder, HttpMetrics};
pub use request::RequestBody;
#[cfg(feature = "axum")]
pub use router::{MeasuredRouter, RouterFuture};
pub use service::Measured;
