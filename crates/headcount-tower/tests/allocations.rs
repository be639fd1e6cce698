//! A request of a kind that has been there before allocates nothing.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use headcount::Registry;
use headcount_tower::{HttpMetrics, Metric, Options};
use http::Request;
use http_body::Body;
use http_body_util::Full;
use tower_layer::Layer;
use tower_service::Service;

mod null;

use null::Null;

fn send(layer: HttpMetrics) {
    let mut context = Context::from_waker(Waker::noop());
    let request = Request::new(Full::<Bytes>::from("a body"));
    let Poll::Ready(Ok(response)) = pin!(layer.layer(Null).call(request)).poll(&mut context) else {
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
