//! Rules: what is made of a request and its answer.

use std::borrow::Cow;
use std::fmt;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ResponseHead, ServiceRequest, ServiceResponse};
use actix_web::http::{Version, header};
use headcount_http::{Arrival, Asked, Body, Life, MOST_LABELS, Recorder, TokenUsage};

pub(crate) type RouteFn = dyn Fn(&ServiceRequest) -> Option<String> + Send + Sync;
pub(crate) type RequestLabelFn = dyn Fn(&ServiceRequest) -> Cow<'_, str> + Send + Sync;
pub(crate) type ResponseLabelFn = dyn Fn(&ResponseHead) -> Cow<'_, str> + Send + Sync;
pub(crate) type PredicateFn = dyn Fn(&ServiceRequest) -> bool + Send + Sync;

/// The functions that a user has given.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) route: Option<Box<RouteFn>>,
    pub(crate) request_labels: Vec<Box<RequestLabelFn>>,
    pub(crate) response_labels: Vec<Box<ResponseLabelFn>>,
    pub(crate) predicates: Vec<Box<PredicateFn>>,
}

/// The functions and the recorder for which they work.
pub(crate) struct Rules {
    pub(crate) recorder: Recorder,
    pub(crate) functions: Functions,
}

/// The type under which errors are counted that actix has made answers of: it does not keep what they were.
pub(crate) const ERROR: &str = "actix_web::Error";

impl Rules {
    /// Begins to measure a request; `None` if it is left out.
    pub(crate) fn arrive(&self, request: &ServiceRequest) -> Option<Life> {
        let Functions { route, request_labels, predicates, .. } = &self.functions;
        if !self.recorder.is_enabled() || predicates.iter().any(|leaves_out| leaves_out(request)) {
            return None;
        }
        let route = route.as_ref().map_or_else(|| request.match_pattern(), |route| route(request));
        let mut values = [const { Cow::Borrowed("") }; MOST_LABELS];
        values.iter_mut().zip(request_labels).for_each(|(value, label)| *value = label(request));
        let labels: [&str; MOST_LABELS] = std::array::from_fn(|at| &*values[at]);
        let arrival = Arrival {
            method: request.method().as_str(),
            route: route.as_deref(),
            path: request.path(),
            scheme: if request.app_config().secure() { "https" } else { "http" },
            protocol: protocol(request.version()),
            labels: &labels[..request_labels.len().min(MOST_LABELS)],
            body: declared_length(request),
        };
        self.recorder.arrive(&arrival, || ())
    }

    /// The head of an answer is there.
    pub(crate) fn answered<B: MessageBody>(
        &self,
        life: &mut Life,
        asked: Asked,
        response: &ServiceResponse<B>,
    ) {
        let head = response.response().head();
        if let Some(usage) = response.response().extensions().get::<TokenUsage>() {
            life.reporter().tokens(usage);
        }
        if let Some(error) = response.response().error()
            && error.as_response_error().status_code().is_server_error()
        {
            life.errored(ERROR, head.status.as_u16());
        }
        let labels = self.functions.response_labels.iter().map(|label| label(head).into_owned()).collect();
        life.answered(
            head.status.as_u16(),
            body(asked, head.status.as_u16(), response.response().body().size()),
            labels,
        );
    }
}

/// The body, as the head declares it.
fn body(asked: Asked, status: u16, size: BodySize) -> Body {
    match size {
        _ if asked.leaves_unread(status) => Body::None,
        BodySize::None => Body::None,
        BodySize::Sized(bytes) => Body::Sized(bytes),
        BodySize::Stream => Body::Streamed,
    }
}

/// The length of a request's body; `None` if it comes in chunks of which nobody knows how many.
fn declared_length(request: &ServiceRequest) -> Option<u64> {
    match request.headers().get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None if request.headers().contains_key(header::TRANSFER_ENCODING) => None,
        None => Some(0),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}
