//! Rules: what is made of a request and its answer, by functions of the application's.

use std::borrow::Cow;
#[cfg(feature = "axum")]
use std::mem;

#[cfg(feature = "axum")]
use headcount_http::Accepted;
use headcount_http::{Arrival, Body, DoNotTrack, Life, MOST_LABELS, TokenUsage, Watch, grpc_status, is_grpc};
use http::{HeaderMap, HeaderValue, Request, Response, Version, header};

use crate::body::MeasuredBody;
use crate::head::{RequestHead, ResponseHead};
use crate::hook::{AnyHook, Follower};

headcount_http::rules! { for<'a> (&RequestHead<'a>, &ResponseHead<'a>) }

impl Rules {
    /// Begins to measure a request. If it is left out, it is over at once.
    #[inline(always)]
    pub(crate) fn arrive<B: http_body::Body>(&'static self, request: &Request<B>) -> Life<Follower> {
        if !self.requests_are_plain {
            return self.arrive_otherwise(request);
        }
        let head = RequestHead::of(request);
        let own_route = self.functions.route.as_ref().map(|route| route(&head));
        let route = own_route.as_ref().map_or_else(|| matched_route(&head), Option::as_deref);
        self.recorder.arrive(&self.arrival(&head, route, request.body()), |_| {})
    }

    /// The same, for an application without functions, and for a request that is accepted as others were; `None` is one that
    /// is left out.
    #[cfg(feature = "axum")]
    #[inline(always)]
    pub(crate) fn arrive_as<B>(&self, accepted: Option<Accepted>, request: &Request<B>) -> Life<Follower> {
        let mut life = begin(accepted);
        if !self.requests_are_plain {
            let head = RequestHead::of(request);
            self.take_exemplar(&mut life, &head, || traceparent(&head));
        }
        life
    }

    #[inline(never)]
    fn arrive_otherwise<B: http_body::Body>(&'static self, request: &Request<B>) -> Life<Follower> {
        let head = RequestHead::of(request);
        let mut life = self.begin(&head, request.body());
        self.take_exemplar(&mut life, &head, || traceparent(&head));
        life
    }

    fn begin(&'static self, head: &RequestHead<'_>, body: &impl http_body::Body) -> Life<Follower> {
        if !self.recorder.is_enabled() {
            return Life::default();
        }
        let Functions { route, request_labels, predicates, hook, .. } = &self.functions;
        if predicates.iter().any(|leaves_out| leaves_out(head)) {
            return Life::default();
        }
        let own_route = route.as_ref().map(|route| route(head));
        let route = own_route.as_ref().map_or_else(|| matched_route(head), Option::as_deref);
        let mut arrival = self.arrival(head, route, body);
        let follow = |follower: &mut Follower| {
            if let Some(hook) = hook {
                *follower = hook.begin(head);
            }
        };
        if request_labels.is_empty() {
            return self.recorder.arrive(&arrival, follow);
        }
        let mut values = [const { Cow::Borrowed("") }; MOST_LABELS];
        values.iter_mut().zip(request_labels).for_each(|(value, label)| *value = label(head));
        let labels: [&str; MOST_LABELS] = std::array::from_fn(|at| &*values[at]);
        arrival.labels = &labels[..request_labels.len().min(MOST_LABELS)];
        self.recorder.arrive(&arrival, follow)
    }

    /// A request without its labels.
    #[inline(always)]
    fn arrival<'a>(
        &self,
        head: &RequestHead<'a>,
        route: Option<&'a str>,
        body: &impl http_body::Body,
    ) -> Arrival<'a> {
        let (scheme, protocol) = match self.recorder.by_method_and_route() {
            true => ("", ""),
            false => (head.uri.scheme_str().unwrap_or("http"), protocol(head.version)),
        };
        Arrival {
            method: head.method.as_str(),
            route,
            path: head.uri.path(),
            scheme,
            protocol,
            labels: &[],
            body: body.size_hint().exact(),
        }
    }

    /// The head of an answer is there. Most are of a known length, and nobody wants to know more of them: these go through in
    /// registers. What is done with others takes them away, so that no answer is in memory for the sake of those.
    #[inline(always)]
    pub(crate) fn answered<B: http_body::Body>(
        &self,
        mut life: Life<Follower>,
        response: Response<B>,
    ) -> Response<MeasuredBody<B>> {
        if life.is_none() || self.sends(&mut life, &response) {
            let (parts, body) = response.into_parts();
            Response::from_parts(parts, MeasuredBody::new(body, life))
        } else {
            let (life, response) = self.answered_otherwise(life, response);
            response.map(|body| MeasuredBody::new(body, life))
        }
    }

    #[inline(never)]
    fn answered_otherwise<B: http_body::Body>(
        &self,
        life: Life<Follower>,
        response: Response<B>,
    ) -> (Life<Follower>, Response<B>) {
        (self.told(life, &response), response)
    }

    /// The head of an answer of axum's is there: the same where it stands.
    #[cfg(feature = "axum")]
    #[inline(always)]
    pub(crate) fn answered_in_place(
        &self,
        mut life: Life<Follower>,
        response: &mut Response<axum::body::Body>,
    ) {
        if life.is_none() {
            return;
        }
        if !self.sends(&mut life, response) {
            life = self.told(life, response);
        }
        if !life.is_none() {
            let body = mem::take(response.body_mut());
            *response.body_mut() = axum::body::Body::new(MeasuredBody::new(body, life));
        }
    }

    /// Whether an answer is of a known length and nobody wants to know more of it. Then that is all there is to tell.
    #[inline(always)]
    fn sends<B: http_body::Body>(&self, life: &mut Life<Follower>, response: &Response<B>) -> bool {
        let is_plain = self.answers_are_plain && response.extensions().is_empty();
        let length = || response.body().size_hint().exact();
        // What has ended may still declare what it had.
        is_plain
            && !response.body().is_end_stream()
            && length().is_some_and(|bytes| life.sends(response.status().as_u16(), bytes))
    }

    /// Tells all that there is to tell of an answer, and returns what is left of its life.
    #[inline(never)]
    fn told<B: http_body::Body>(&self, life: Life<Follower>, response: &Response<B>) -> Life<Follower> {
        Watch::behind(life).end_then(|life| self.tell(life, response)).go_on()
    }

    fn tell<B: http_body::Body>(&self, life: &mut Life<Follower>, response: &Response<B>) {
        let head = ResponseHead::of(response);
        if !head.extensions.is_empty() {
            if let (Some(usage), Some(reporter)) = (head.extensions.get::<TokenUsage>(), life.reporter()) {
                reporter.tokens(usage);
            }
            if head.extensions.get::<DoNotTrack>().is_some() {
                return life.leave_out();
            }
        }
        let kind = || head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if self.recorder.counts_grpc() && is_grpc(kind()) {
            life.is_grpc(status_of_grpc(head.headers));
        }
        if let Some(follower) = life.follower() {
            follower.response(&head);
        }
        let labels = match &*self.functions.response_labels {
            [] => Vec::new(),
            labels => labels.iter().map(|label| label(&head).into_owned()).collect(),
        };
        life.answered(head.status.as_u16(), body(life, response), labels);
    }
}

/// Begins to measure a request that nothing follows; `None` is one that is left out.
#[cfg(feature = "axum")]
#[inline(always)]
pub(crate) fn begin(accepted: Option<Accepted>) -> Life<Follower> {
    match accepted {
        Some(accepted) => accepted.begin(|_| {}),
        None => Life::default(),
    }
}

impl Functions {
    /// Whether the application has given none.
    #[cfg(feature = "axum")]
    pub(crate) fn are_none(&self) -> bool {
        let Self { route, request_labels, response_labels, predicates, exemplar, hook } = self;
        let labels_are_none = request_labels.is_empty() && response_labels.is_empty();
        labels_are_none && route.is_none() && predicates.is_empty() && exemplar.is_none() && hook.is_none()
    }
}

/// The body, as the head declares it.
fn body<B: http_body::Body>(life: &Life<Follower>, response: &Response<B>) -> Body {
    if life.leaves_unread(response.status().as_u16()) || response.body().is_end_stream() {
        return Body::None;
    }
    // A server takes the header's word, and reads no further.
    let length = response.body().size_hint().exact().or_else(|| content_length(response.headers()));
    length.map_or(Body::Streamed, Body::Sized)
}

fn traceparent<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    head.headers.get("traceparent")?.to_str().ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The status of gRPC in a head or in trailers.
pub(crate) fn status_of_grpc(headers: &HeaderMap) -> Option<u16> {
    grpc_status(headers.get("grpc-status").map(HeaderValue::as_bytes))
}

#[cfg(feature = "axum")]
fn matched_route<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    head.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn matched_route<'a>(_: &RequestHead<'a>) -> Option<&'a str> {
    None
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
