//! Around a service that does nothing, and around an axum application.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::iter;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use headcount::Registry;
use headcount::clock::Moment;
use headcount_tower::{HttpMetrics, Metric, Options};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use tower::util::MapResponse;
use tower_layer::Layer;
use tower_service::Service;

use super::floor::tower::Followed;
use super::null::Null;
use super::row::Rows;
use super::{Around, More, PATH, REQUESTS, ROUTE, WITHOUT, compare_around, send_all};
use crate::measure::{Candidate, time};

/// An application of one route. It has its state before its layers, as `axum::serve` gives it: else each request would make
/// its layers anew.
pub(crate) fn app() -> Router {
    Router::new().route(ROUTE, get(async || "a body")).with_state(())
}

/// Sends requests and reads the answers to their end.
pub(crate) fn send<S, B>(service: S) -> Duration
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    send_to(service, &mut iter::repeat(&Uri::from_static(PATH)))
}

/// The same, each to another path.
fn send_to<'a, S, B>(mut service: S, uris: &mut impl Iterator<Item = &'a Uri>) -> Duration
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut context = Context::from_waker(Waker::noop());
    send_all(|| {
        let mut request = Request::new(Full::from("a body"));
        uris.next().unwrap().clone_into(request.uri_mut());
        let Poll::Ready(Ok(response)) = pin!(service.call(black_box(request))).poll(&mut context) else {
            unreachable!("it is ready at once");
        };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
            black_box(frame.is_ok());
        }
    })
}

/// A layer whose routes come from a function.
fn by_function(options: Options) -> HttpMetrics {
    let registry = Registry::private().unwrap();
    let builder = HttpMetrics::builder(options.registry(registry));
    builder.route(|_| Some(Cow::Borrowed(ROUTE))).build().unwrap()
}

fn by_axum(options: Options) -> HttpMetrics {
    HttpMetrics::builder(options.registry(Registry::private().unwrap())).build().unwrap()
}

pub(super) fn run(more: More, rows: &mut Rows) {
    around_nothing(more, rows);
    let layer = || by_axum(Options::new());
    // As `axum::serve` wants it, whose answers have bodies of axum's.
    let boxed = |response: Response<_>| response.map(axum::body::Body::new);
    let mut followed = MapResponse::new(Followed(app()), boxed);
    // Whatever a layer inside is, axum puts what is within and what it makes into boxes.
    let mut followed_inside = app().layer(tower_layer::layer_fn(Followed));
    let (mut without, mut around, mut inside) = (app(), layer().around(app()), app().layer(layer()));
    let mut all = by_axum(every()).around(app());
    let candidates = vec![
        Candidate::new(WITHOUT, || send(&mut without)),
        Candidate::floor("floor: followed around it, nothing counted", || send(&mut followed)),
        Candidate::ours("headcount-tower, around it", || send(&mut around)),
        Candidate::new("the same, all metrics", || send(&mut all)),
        Candidate::new("floor of a layer inside", || send(&mut followed_inside)),
        Candidate::new("headcount-tower, a layer inside", || send(&mut inside)),
    ];
    let medians = compare_around(Around::Axum, "a request to an axum application", more, candidates);
    rows.add("an axum application", &medians, None);
    new_paths(rows);
}

/// What is there to be known of a path is of no use here.
fn new_paths(rows: &mut Rows) {
    let uris: Vec<Uri> = (0..10 * REQUESTS).map(|n| format!("/users/{n}/orders").parse().unwrap()).collect();
    let [mut some, mut same, mut others, mut more] = [(); 4].map(|()| uris.iter().cycle());
    let mut followed = app().layer(tower_layer::layer_fn(Followed));
    let (mut without, mut around) = (app(), by_axum(Options::new()).around(app()));
    let mut inside = app().layer(by_axum(Options::new()));
    let candidates = vec![
        Candidate::new(WITHOUT, || send_to(&mut without, &mut some)),
        Candidate::floor("floor: followed by a layer, nothing counted", || send_to(&mut followed, &mut same)),
        Candidate::ours("headcount-tower, around it", || send_to(&mut around, &mut others)),
        Candidate::new("headcount-tower, a layer inside", || send_to(&mut inside, &mut more)),
    ];
    let title = "a request to an axum application, by paths that do not come again";
    let medians = compare_around(Around::Axum, title, |_| Vec::new(), candidates);
    rows.add("the same, each path anew", &medians, None);
}

fn around_nothing(more: More, rows: &mut Rows) {
    let default = by_function(Options::new());
    let least = by_function(Options::new().without_any().with(Metric::Requests));
    let all = by_function(every());
    let labelled = HttpMetrics::builder(Options::new().registry(Registry::private().unwrap()))
        .label("tenant", |_| Cow::Borrowed("acme"))
        .build()
        .unwrap();
    let candidates = vec![
        Candidate::new(WITHOUT, || send(Null)),
        Candidate::floor("floor: followed, and nothing counted", || send(Followed(Null))),
        Candidate::new("our clock, twice", || send(Null) + read_twice(Moment::now)),
        Candidate::new("the kernel's clock, twice", || send(Null) + read_twice(Instant::now)),
        Candidate::ours("headcount-tower", || send(default.layer(Null))),
        Candidate::new("headcount-tower, requests only", || send(least.layer(Null))),
        Candidate::new("headcount-tower, and a computed label", || send(labelled.layer(Null))),
        Candidate::new("headcount-tower, all metrics", || send(all.layer(Null))),
    ];
    let title = "a request through a service that does nothing";
    let medians = compare_around(Around::Nothing, title, more, candidates);
    rows.add("a service that does nothing", &medians, Some(150.0));
}

/// What two readings of a clock cost for each request.
fn read_twice<M>(now: impl Fn() -> M) -> Duration {
    time(|| {
        for _ in 0..2 * REQUESTS {
            black_box(now());
        }
    })
}

fn every() -> Options {
    Options::new().with_streams().with(Metric::FirstByte).with(Metric::GrpcResponses)
}
