//! Rules: what is made of a request and its answer.

use std::borrow::Cow;
use std::rc::Rc;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Version;
use actix_web::http::header::{self, HeaderValue};
use headcount_http::{
    Accepted, Arrival, Body, DoNotTrack, Life, MOST_LABELS, TokenUsage, grpc_status, is_grpc,
};

use crate::follower::{Follower, Routes, find_route};
use crate::head::ResponseHead;
use crate::hook::AnyHook;

headcount_http::rules! { for<'a> (&'a ServiceRequest, &ResponseHead<'a>) }

/// The type under which errors are counted that actix has made answers of: it does not keep what they were.
pub(crate) const ERROR: &str = "actix_web::Error";

impl Rules {
    /// Begins to measure a request. If it is left out, it is over at once.
    #[inline]
    pub(crate) fn arrive(&'static self, request: &ServiceRequest, routes: &Rc<Routes>) -> Life<Follower> {
        let Functions { route, predicates, .. } = &self.functions;
        let is_plain = self.requests_are_plain;
        if !is_plain
            && (!self.recorder.is_enabled() || predicates.iter().any(|leaves_out| leaves_out(request)))
        {
            return Life::default();
        }
        let is_unrouted = route.is_none() && self.recorder.routes_later();
        let path = request.path();
        let accepted = if is_unrouted {
            self.recorder.accept_unrouted(&arrival(request, path), find_route)
        } else {
            self.accept(request, path)
        };
        let Some(accepted) = accepted else { return Life::default() };
        let mut life = accepted.begin(|follower: &mut Follower| {
            if is_unrouted {
                follower.keep_path(path, request, routes);
            }
            if let Some(hook) = &self.functions.hook {
                follower.hook = hook.begin(request);
            }
        });
        if !is_plain {
            self.take_exemplar(&mut life, request, || request.headers().get("traceparent")?.to_str().ok());
        }
        life
    }

    /// Finds where a request comes to whose route is asked for when it arrives; `None` if it is left out.
    fn accept(&self, request: &ServiceRequest, path: &str) -> Option<Accepted> {
        let Functions { route, request_labels, .. } = &self.functions;
        let route = match route {
            Some(route) => route(request),
            None => request.match_pattern().map(Cow::Owned),
        };
        let arrival = Arrival { route: route.as_deref(), ..arrival(request, path) };
        if request_labels.is_empty() {
            return self.recorder.accept(&arrival);
        }
        let mut values = [const { Cow::Borrowed("") }; MOST_LABELS];
        values.iter_mut().zip(request_labels).for_each(|(value, label)| *value = label(request));
        let labels: [&str; MOST_LABELS] = std::array::from_fn(|at| &*values[at]);
        let labels = &labels[..request_labels.len().min(MOST_LABELS)];
        self.recorder.accept(&Arrival { labels, ..arrival })
    }

    /// The head of an answer is there.
    pub(crate) fn answered<B: MessageBody>(&self, life: &mut Life<Follower>, response: &ServiceResponse<B>) {
        let (status, extensions) = (response.status(), response.response().extensions());
        let head = ResponseHead::new(status, response.headers(), &extensions);
        life.routed(|| response.request().match_pattern());
        if let Some(usage) = extensions.get::<TokenUsage>()
            && let Some(reporter) = life.reporter()
        {
            reporter.tokens(usage);
        }
        if extensions.get::<DoNotTrack>().is_some() {
            return life.leave_out();
        }
        if let Some(error) = response.response().error()
            && error.as_response_error().status_code().is_server_error()
        {
            life.errored(ERROR, status.as_u16());
        }
        let status = status.as_u16();
        let body = body(life, status, response.response().body().size());
        if self.answers_are_plain {
            return life.answered(status, body, Vec::new());
        }
        let header = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
        if self.recorder.counts_grpc() && is_grpc(header("content-type")) {
            // There are no trailers here: a status that is not in the head is none.
            life.is_grpc(grpc_status(header("grpc-status")));
        }
        if let Some(follower) = life.follower() {
            follower.hook.response(&head);
        }
        let labels = self.functions.response_labels.iter().map(|label| label(&head).into_owned()).collect();
        life.answered(status, body, labels);
    }
}

/// A request without its route and labels.
#[inline(always)]
fn arrival<'a>(request: &'a ServiceRequest, path: &'a str) -> Arrival<'a> {
    Arrival {
        method: request.method().as_str(),
        route: None,
        path,
        scheme: if request.app_config().secure() { "https" } else { "http" },
        protocol: protocol(request.version()),
        labels: &[],
        body: declared_length(request),
    }
}

/// The body, as the head declares it.
fn body(life: &Life<Follower>, status: u16, size: BodySize) -> Body {
    match size {
        _ if life.leaves_unread(status) => Body::None,
        BodySize::None => Body::None,
        BodySize::Sized(bytes) => Body::Sized(bytes),
        BodySize::Stream => Body::Streamed,
    }
}

/// The length of a request's body; `None` if it comes in pieces of which nobody knows how many.
fn declared_length(request: &ServiceRequest) -> Option<u64> {
    match request.headers().get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None if matches!(request.parts().1, Payload::None) => Some(0),
        // What has no length in HTTP/1 either comes in chunks or is nothing; in HTTP/2 it may be anything.
        None if request.version() <= Version::HTTP_11 => {
            (!request.headers().contains_key(header::TRANSFER_ENCODING)).then_some(0)
        }
        None => None,
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
