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

/// Around a router of axum's: what axum allocates without it, and one box, as which axum wants the body of an answer.
#[cfg(feature = "axum")]
#[test]
fn around_a_router_a_request_of_a_path_that_has_been_there_allocates_one_body() {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Response;

    /// How often a hundred requests allocate.
    fn allocations<S>(mut app: S) -> u64
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = std::convert::Infallible>,
    {
        let mut send = || {
            let request = Request::get("/users/7").body(Body::empty()).unwrap();
            let Poll::Ready(Ok(response)) =
                pin!(app.call(request)).poll(&mut Context::from_waker(Waker::noop()))
            else {
                panic!("it is ready at once");
            };
            let mut body = pin!(response.into_body());
            while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()))
            {
            }
        };
        (0..2).for_each(|_| send());
        allocation_counter::measure(|| (0..100).for_each(|_| send())).count_total
    }

    let app = || Router::new().route("/users/{id}", get(async || "a user")).with_state(());
    let registry = Registry::private().unwrap();
    let metrics = HttpMetrics::builder(Options::new().registry(registry)).build().unwrap();
    let plain = allocations(app());
    assert_eq!(allocations(metrics.around(app())), plain + 100);
    // Which a layer inside of the router cannot do.
    assert!(allocations(app().layer(metrics)) > plain + 200);
    assert!(
        registry.render().contains("route=\"/users/{id}\",status=\"200\"} 204\n"),
        "{}",
        registry.render()
    );
}

#[test]
fn the_counter_of_allocations_counts() {
    let allocate = || drop(std::hint::black_box(Box::new(7)));
    assert_eq!(allocation_counter::measure(allocate).count_total, 1);
}
