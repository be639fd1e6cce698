//! What the middleware adds to a request.
//!
//! The service within does nothing, so what is left is the request itself, which all candidates make and
//! drop alike. The clock is read twice for each measured request; the floor shows what that alone costs.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use headcount::Registry;
use headcount_tower::{HttpMetrics, Metric, Options};
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Bytes;
use tower_layer::Layer;
use tower_service::Service;

use crate::measure::{Candidate, compare, time};

/// So few that most rounds pass without another process getting its turn.
const REQUESTS: u32 = 500;
const ROUNDS: usize = 2001;

/// A service that does nothing.
#[derive(Clone, Copy)]
struct Null;

impl<B> Service<Request<B>> for Null {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // It looks at its request, and the compiler cannot leave that out.
        black_box(&request);
        ready(Ok(Response::new(request.into_body())))
    }
}

/// Sends requests and reads the answers to their end.
fn send<S, B>(mut service: S) -> Duration
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut context = Context::from_waker(Waker::noop());
    time(|| {
        for _ in 0..REQUESTS {
            let request = Request::new(Full::from("a body"));
            let Poll::Ready(Ok(response)) = pin!(service.call(black_box(request))).poll(&mut context) else {
                unreachable!("it is ready at once");
            };
            let mut body = pin!(response.into_body());
            while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
                black_box(frame.is_ok());
            }
        }
    })
}

fn metrics(options: Options) -> HttpMetrics {
    let registry = Registry::private().unwrap();
    let builder = HttpMetrics::builder(options.registry(registry));
    builder.route(|_| Some(Cow::Borrowed("/users/{id}/orders"))).build().unwrap()
}

pub(crate) fn run() {
    let default = metrics(Options::new());
    let least = metrics(Options::new().without_any().with(Metric::Requests));
    let all = metrics(Options::new().with_streams().with(Metric::FirstByte).with(Metric::GrpcResponses));
    let labelled = HttpMetrics::builder(Options::new().registry(Registry::private().unwrap()))
        .label("tenant", |_| Cow::Borrowed("acme"))
        .build()
        .unwrap();
    compare(
        "a request through a service that does nothing",
        ROUNDS,
        f64::from(REQUESTS),
        "ns",
        &mut [
            Candidate::new("without", || send(Null)),
            Candidate::new("floor: the clock, twice", || {
                let clock = time(|| {
                    (0..2 * REQUESTS).for_each(|_| {
                        black_box(Instant::now());
                    });
                });
                send(Null) + clock
            }),
            Candidate::new("headcount-tower, requests only", || send(least.layer(Null))),
            Candidate::new("headcount-tower, default metrics", || send(default.layer(Null))),
            Candidate::new("headcount-tower, and a computed label", || send(labelled.layer(Null))),
            Candidate::new("headcount-tower, all metrics", || send(all.layer(Null))),
        ],
    );
}
