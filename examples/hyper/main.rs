//! A server of hyper's, without a framework: the middleware is a service around a service.
//!
//! There is no router to ask for routes, so a function names them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::net::TcpListener;

use headcount::worker::Worker;
use headcount_tower::{HttpMetrics, MetricsEndpoint, Options, RequestBody};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tower::{Layer, service_fn};

fn main() -> Result<(), Box<dyn Error>> {
    let mut worker = Worker::from_environment()?;
    let listener = match worker.take_tcp_listener("http") {
        Some(listener) => listener,
        None => TcpListener::bind("127.0.0.1:8000")?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve(&worker, listener))
}

async fn serve(worker: &Worker, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let drain = UnixStream::from_std(worker.drain()?.into_stream()?)?;
    let metrics = HttpMetrics::builder(Options::new()).route(|request| route(request.uri.path())).build()?;
    let endpoint = MetricsEndpoint::from_environment()?;
    let graceful = GracefulShutdown::new();
    worker.ready()?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = drain.readable() => break,
        };
        let endpoint = endpoint.clone();
        let service = metrics.layer(service_fn(move |request| ready(answer(&request, &endpoint))));
        let service = TowerToHyperService::new(service);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away early is the client's affair; it has been counted.
            let _ = connection.await;
        });
    }
    graceful.shutdown().await;
    Ok(())
}

/// Templates and not paths: whoever sends requests does not decide how many series there are.
fn route(path: &str) -> Option<Cow<'_, str>> {
    match path.split('/').nth(1)? {
        "hello" => Some(Cow::Borrowed("/hello/{name}")),
        _ => None,
    }
}

fn answer(
    request: &Request<RequestBody<Incoming>>,
    endpoint: &MetricsEndpoint,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/metrics" {
        return Ok(endpoint.respond(request));
    }
    let body = match request.uri().path().strip_prefix("/hello/") {
        Some(name) => format!("Hello, {name}.\n"),
        None => {
            let mut response = Response::new(Full::from("There is nothing here.\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    Ok(Response::new(Full::from(body)))
}
