//! The layer around services of axum's and around none, one request at a time.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::{Body, Bytes};
use headcount::Registry;
use headcount_tower::{Builder, HttpMetrics, Options};
use http::{Request, Response};
use tower_service::Service;

mod around;
mod endings;
mod endpoint;
mod functions;
mod routes;
mod sizes;

/// A layer with a registry of its own.
fn metrics(options: Options, more: impl FnOnce(Builder) -> Builder) -> (HttpMetrics, Registry) {
    let registry = Registry::private().unwrap();
    (more(HttpMetrics::builder(options.registry(registry))).build().unwrap(), registry)
}

/// An application, with the middleware on one of the ways in which requests go through it.
struct App(Box<dyn FnMut(Request<Body>) -> Answering>);

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>>>>;

impl App {
    fn new<S>(mut service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + 'static,
    {
        Self(Box::new(move |request| Box::pin(service.call(request))))
    }

    /// A layer inside of the router; around it, for paths that come for the first time; and for those that have been there.
    fn on_all_ways(options: &Options, router: &Router) -> [(Self, Registry); 3] {
        const LEFT_OUT: &str = "TRACE";
        let new = || metrics(options.clone().exclude_method(LEFT_OUT), |builder| builder);
        let [(inside, first), (around, second), (again, third)] = [(); 3].map(|()| new());
        let mut again = again.around(router.clone());
        let known = move |asked: Request<Body>| {
            drop(now(again.call(request(LEFT_OUT, &asked.uri().to_string()))));
            Box::pin(again.call(asked)) as Answering
        };
        [
            (Self::new(router.clone().layer(inside)), first),
            (Self::new(around.around(router.clone())), second),
            (Self(Box::new(known)), third),
        ]
    }
}

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        (self.0)(request)
    }
}

/// What a future comes to that does not wait for anything.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn request(method: &str, uri: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

/// Calls a service and reads the answer to its end.
fn send<S, B>(service: &mut S, request: Request<Body>) -> Response<()>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = Bytes>,
{
    let (parts, body) = now(service.call(request)).unwrap().into_parts();
    let mut body = pin!(body);
    while next(body.as_mut()).is_some() {}
    Response::from_parts(parts, ())
}

/// The next piece of a body, with whether it has not failed.
fn next<B: http_body::Body>(body: Pin<&mut B>) -> Option<bool> {
    match body.poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => frame.map(|frame| frame.is_ok()),
        Poll::Pending => panic!("it waits"),
    }
}

/// A sample's value; 0 if it is not there.
fn value(registry: Registry, key: &str) -> f64 {
    let text = registry.render();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

fn requests(registry: Registry, method: &str, route: &str, status: &str) -> f64 {
    let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
    value(registry, &format!("http_requests_total{labels}"))
}
