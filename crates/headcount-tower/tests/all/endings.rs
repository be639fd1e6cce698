//! However a request ends, on whichever way through the layer, it is counted once.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::{Body, Bytes};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum::{Router, http::StatusCode};
use headcount::Registry;
use headcount_tower::{Metric, Options};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tower_layer::Layer;
use tower_service::Service;

use crate::{App, metrics, next, now, request, requests, send, value};

/// A body of these pieces, whose length nobody knows.
fn streamed(pieces: &'static [&'static str]) -> impl http_body::Body<Data = Bytes, Error = std::io::Error> {
    Pieces(pieces.iter())
}

struct Pieces(std::slice::Iter<'static, &'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(match self.0.next() {
            Some(&"panic") => panic!("expected"),
            Some(&"wait") => return Poll::Pending,
            Some(&"error") => Some(Err(std::io::Error::other("expected"))),
            Some(piece) => Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))),
            None => None,
        })
    }
}

/// Of five bytes, says its size, and has ended before them.
struct Ended;

impl http_body::Body for Ended {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(5)
    }
}

fn apps(options: &Options) -> [(App, Registry); 3] {
    let router = Router::new()
        .route("/sized", get(async || "seven b"))
        .route("/empty", get(async || StatusCode::NO_CONTENT))
        .route("/ended", get(async || Body::new(Ended)))
        .route("/streamed", get(async || Body::new(streamed(&["ab", "cde"]))))
        .route("/declared", get(async || ([("content-length", "5")], Body::new(streamed(&["ab", "cde"])))))
        .route("/broken", get(async || Body::new(streamed(&["ab", "error"]))))
        .route("/panics/late", get(async || Body::new(streamed(&["ab", "panic"]))))
        .route("/panics", get(async || -> StatusCode { panic!("expected") }))
        .route("/waits", get(async || std::future::pending::<StatusCode>().await))
        .route("/tunnel", any(async || StatusCode::SWITCHING_PROTOCOLS.into_response()));
    App::on_all_ways(options, &router)
}

/// Nothing is in flight, and the request is counted once, under this status.
fn check(registry: Registry, method: &str, route: &str, status: &str) {
    let text = registry.render();
    assert_eq!(requests(registry, method, route, status), 1.0, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("http_requests_total{")).count(), 1, "{text}");
    assert_eq!(value(registry, "http_requests_in_flight"), 0.0, "{text}");
}

#[test]
fn what_is_read_to_its_end_is_answered() {
    for (path, status) in [("/sized", "200"), ("/empty", "204"), ("/streamed", "200"), ("/declared", "200")] {
        for (mut app, registry) in apps(&Options::new()) {
            send(&mut app, request("GET", path));
            check(registry, "GET", path, status);
            let bytes = format!("http_response_size_bytes_sum{{method=\"GET\",route=\"{path}\"}}");
            let expected = match path {
                "/empty" => 0.0,
                "/sized" => 7.0,
                _ => 5.0,
            };
            assert_eq!(value(registry, &bytes), expected);
        }
    }
}

#[test]
fn what_a_server_need_not_read_is_answered_too() {
    for (method, path, status) in [
        ("HEAD", "/streamed", "200"),
        ("GET", "/tunnel", "101"),
        ("GET", "/empty", "204"),
        ("GET", "/ended", "200"),
    ] {
        for (mut app, registry) in apps(&Options::new()) {
            drop(now(app.call(request(method, path))).unwrap());
            check(registry, method, path, status);
        }
    }
    // A server that has passed on as many bytes as were declared does not ask for more.
    for (path, pieces) in [("/sized", 1), ("/declared", 2)] {
        for (mut app, registry) in apps(&Options::new()) {
            let mut body = pin!(now(app.call(request("GET", path))).unwrap().into_body());
            (0..pieces).for_each(|_| assert_eq!(next(body.as_mut()), Some(true)));
            body.set(Body::empty());
            check(registry, "GET", path, "200");
        }
    }
}

#[test]
fn a_client_that_goes_away_is_counted_as_such_at_every_moment() {
    // While the handler works.
    for (mut app, registry) in apps(&Options::new()) {
        let mut future = Box::pin(app.call(request("GET", "/waits")));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(value(registry, "http_requests_in_flight"), 1.0);
        drop(future);
        check(registry, "GET", "/waits", "499");
    }
    // Before the body, and in the middle of it.
    for pieces in 0..2 {
        for (mut app, registry) in apps(&Options::new()) {
            let mut body = pin!(now(app.call(request("GET", "/streamed"))).unwrap().into_body());
            (0..pieces).for_each(|_| assert_eq!(next(body.as_mut()), Some(true)));
            assert_eq!(value(registry, "http_requests_in_flight"), 1.0);
            body.set(Body::empty());
            check(registry, "GET", "/streamed", "499");
        }
    }
    // Even if it is so short that a server would write it with the head.
    for (mut app, registry) in apps(&Options::new()) {
        drop(now(app.call(request("GET", "/sized"))).unwrap());
        check(registry, "GET", "/sized", "499");
    }
}

#[test]
fn a_panic_counts_as_500_at_once_even_if_somebody_catches_it() {
    let exceptions = |registry, route: &str| {
        let labels = format!("{{method=\"GET\",route=\"{route}\",status=\"500\",type=\"panic\"}}");
        value(registry, &format!("http_exceptions_total{labels}"))
    };
    for (mut app, registry) in apps(&Options::new()) {
        let mut future = Box::pin(app.call(request("GET", "/panics")));
        let poll = || future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
        // It still exists, as in a layer that makes an answer of the panic.
        check(registry, "GET", "/panics", "500");
        drop(future);
        check(registry, "GET", "/panics", "500");
        assert_eq!(exceptions(registry, "/panics"), 1.0);
    }
    for (mut app, registry) in apps(&Options::new()) {
        let sent = catch_unwind(AssertUnwindSafe(|| send(&mut app, request("GET", "/panics/late"))));
        assert!(sent.is_err());
        check(registry, "GET", "/panics/late", "500");
        assert_eq!(exceptions(registry, "/panics/late"), 1.0);
    }
}

#[test]
fn a_body_that_breaks_off_is_an_exception_of_an_answer_that_was_sent() {
    for (mut app, registry) in apps(&Options::new().with_streams()) {
        send(&mut app, request("GET", "/broken"));
        check(registry, "GET", "/broken", "200");
        let labels = "{method=\"GET\",route=\"/broken\",status=\"200\",type=\"axum_core::error::Error\"}";
        assert_eq!(value(registry, &format!("http_exceptions_total{labels}")), 1.0, "{}", registry.render());
        assert_eq!(value(registry, "http_stream_errors_total{route=\"/broken\"}"), 1.0);
    }
}

/// A service that only fails.
#[derive(Clone, Copy)]
struct Fails;

impl<B> Service<Request<B>> for Fails {
    type Response = Response<Body>;
    type Error = std::num::ParseIntError;
    type Future = std::future::Ready<Result<Response<Body>, std::num::ParseIntError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::ready("x".parse::<u8>().map(|_| Response::default()))
    }
}

#[test]
fn a_service_that_fails_is_an_exception_of_its_type() {
    let (layer, registry) = metrics(Options::new(), |builder| builder);
    assert!(now(layer.layer(Fails).call(request("GET", "/"))).is_err());
    check(registry, "GET", "unmatched", "500");
    let labels =
        "{method=\"GET\",route=\"unmatched\",status=\"500\",type=\"core::num::error::ParseIntError\"}";
    assert_eq!(value(registry, &format!("http_exceptions_total{labels}")), 1.0, "{}", registry.render());
}

#[test]
fn the_status_of_grpc_is_in_the_trailers() {
    let answer = async || {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("5"))]);
        let body = streamed(&["ab"]).with_trailers(async { Some(Ok(trailers)) });
        ([("content-type", "application/grpc")], Body::new(body.boxed_unsync()))
    };
    let router = Router::new().route("/shop.Shop/Buy", any(answer));
    for (mut app, registry) in App::on_all_ways(&Options::new().with(Metric::GrpcResponses), &router) {
        let response = now(app.call(request("POST", "/shop.Shop/Buy"))).unwrap();
        let mut body = pin!(response.into_body());
        assert_eq!((next(body.as_mut()), next(body.as_mut())), (Some(true), Some(true)));
        // Nobody asks a body for more after its trailers.
        body.set(Body::empty());
        check(registry, "POST", "/shop.Shop/Buy", "200");
        let sample = "grpc_responses_total{route=\"/shop.Shop/Buy\",grpc_status=\"5\"}";
        assert_eq!(value(registry, sample), 1.0, "{}", registry.render());
    }
}
