//! A request of a kind that has been there before allocates nothing.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use headcount::Registry;
use headcount_tower::{HttpMetrics, Metric, Options};
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_layer::Layer;
use tower_service::Service;

/// A service that returns what it gets, and allocates nothing.
#[derive(Clone, Copy)]
struct Echo;

impl<B> Service<Request<B>> for Echo {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(Response::new(request.into_body())))
    }
}

fn send(layer: HttpMetrics) {
    let mut context = Context::from_waker(Waker::noop());
    let request = Request::new(Full::<Bytes>::from("a body"));
    let Poll::Ready(Ok(response)) = pin!(layer.layer(Echo).call(request)).poll(&mut context) else {
        panic!("it is ready at once");
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
}

fn check(options: Options) {
    let registry = Registry::private().unwrap();
    let builder = HttpMetrics::builder(options.registry(registry));
    let builder = builder.route(|_| Some(Cow::Borrowed("/users/{id}")));
    let layer = builder.label("tenant", |_| Cow::Borrowed("acme")).build().unwrap();
    send(layer);
    let allocations = allocation_counter::measure(|| (0..100).for_each(|_| send(layer)));
    assert_eq!(allocations.count_total, 0);
    assert!(registry.render().contains("tenant=\"acme\"} 101\n"), "{}", registry.render());
}

#[test]
fn a_request_of_a_kind_that_has_been_there_allocates_nothing() {
    check(Options::new());
    check(Options::new().with(Metric::FirstByte).with(Metric::GrpcResponses).with_streams());
}

#[test]
fn the_counter_of_allocations_counts() {
    let allocate = || drop(std::hint::black_box(Box::new(7)));
    assert_eq!(allocation_counter::measure(allocate).count_total, 1);
}
