//! What is measured of an HTTP server, without any framework: `headcount-tower` and `headcount-actix` bring it
//! to theirs.
//!
//! A framework's crate makes an [`Arrival`] of each request and gets a [`Life`], which it tells what happens:
//! a head, pieces of a body, an end. Whatever it forgets to tell, the life's `Drop` makes good.
//!
//! ```
//! use headcount_http::{Arrival, Body, Life, Options, Recorder};
//!
//! let recorder = Recorder::new(Options::new())?;
//! let arrival = Arrival { method: "GET", route: Some("/users/{id}"), path: "/users/7", ..Arrival::default() };
//! let mut life: Life = recorder.arrive(&arrival, |()| ());
//! life.answered(200, Body::Sized(5), Vec::new());
//! life.sent(5);
//! life.ended();
//! let sample = "http_requests_total{method=\"GET\",route=\"/users/{id}\",status=\"200\"} 1";
//! assert!(headcount::render().contains(sample));
//! # Ok::<(), headcount_http::BuildError>(())
//! ```
//!
//! Read the modules in this order:
//!
//! * `label`: labels, and what bounds their values; `metric`: the metrics.
//! * `exclusion`: which requests are left out; `options`: what a user may choose; `preset`: what other packages
//!   have chosen.
//! * `families`: the metrics as registered; `observer`: what is observed, of whatever kind.
//! * `arrival`: a request as it arrives; `tree`: a table that is read without a lock; `series`: what is counted of a
//!   request; `endpoint`: the series of requests that are alike; `recent`: those that a thread had lately; `ledger`: how
//!   many there are; `recorder`: finds them.
//! * `asked`: whether an answer's body is read; `grpc`: whether it is one of gRPC; `read`: how much of a request's body
//!   was read; `unrouted`: how its route is found later; `length`: how long an answer's is to be; `ongoing`: what is known of a request, and what is counted of it;
//!   `spare`: the memory for that; `life`: one request from its arrival to its end; `watch`: a part of its work; `report`:
//!   who else is told of it; `current`: what its handler reports.
//! * `exposition`: what a scraper gets; `credentials`, whether it does; `reply`, what the endpoint answers; and `sole`, a
//!   port that only one process serves.
//! * `hook`, `rules`, `middleware` and `metrics_endpoint`: what an application of any framework gets of all this. As
//!   macros, since a framework's traits are only for types that its crate has itself.
#![forbid(unsafe_code)]

mod arrival;
mod asked;
mod credentials;
mod current;
mod endpoint;
mod error;
mod exclusion;
mod exposition;
mod families;
mod grpc;
mod hook;
mod label;
mod ledger;
mod length;
mod life;
mod metric;
mod metrics_endpoint;
mod middleware;
mod observer;
mod ongoing;
mod options;
mod preset;
mod read;
mod recent;
mod recorder;
mod reply;
mod report;
mod rules;
mod series;
mod sole;
mod spare;
mod tree;
mod unrouted;
mod watch;

pub use arrival::Arrival;
pub use credentials::Credentials;
pub use current::{
    DoNotTrack, Reporter, TokenUsage, do_not_track, track_error, track_exemplar, track_tokens,
};
pub use error::BuildError;
pub use exposition::{CONTENT_TYPE, Exposition, OpenError};
pub use grpc::{grpc_status, is_grpc};
pub use headcount::Exemplar;
pub use label::{CLIENT_GONE, Label, MOST_LABELS, OTHER, StatusLabel, known_method};
pub use life::{Body, Life};
pub use metric::Metric;
pub use options::Options;
pub use preset::Preset;
pub use read::BytesRead;
pub use recorder::{Accepted, Alike, Recorder};
pub use reply::Reply;
pub use report::{Follow, Outcome, Report};
pub use sole::SoleListener;
pub use spare::Spare;
pub use unrouted::FindRoute;
pub use watch::Watch;
