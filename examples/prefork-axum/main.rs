//! An axum server that runs in several processes behind one port.
//!
//! Under `headcount run` it takes the listening socket from the supervisor, says when it is ready, counts
//! its requests, and on `SIGTERM` finishes what it has accepted. Without a supervisor it listens on a
//! port of its own and does the same, as one process.

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use headcount::worker::{Drain, Worker};
use headcount::{Counter, Gauge, GaugeMode, Histogram, metric};
use tokio::net::UnixStream;

/// Requests that were answered.
#[metric]
fn http_requests(method: &str, route: &str, code: u16) -> Counter;

/// Seconds from a request to its answer.
#[metric]
fn http_request_duration_seconds(method: &str, route: &str) -> Histogram;

/// Requests that are being answered.
///
/// The sum over all processes that live: what a dead one was answering, nobody is.
#[metric(mode = GaugeMode::LiveSum)]
fn http_requests_in_flight() -> Gauge;

fn main() -> Result<(), Box<dyn Error>> {
    let mut worker = Worker::from_environment()?;
    let listener = match worker.take_tcp_listener("http") {
        Some(listener) => listener,
        None => TcpListener::bind("127.0.0.1:8000")?,
    };
    let drain = worker.drain()?;
    // It is there before the first request.
    http_requests_in_flight().set(0.0);
    // One thread for each process: there are as many processes as processors.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(&worker, listener, drain))
}

async fn serve(worker: &Worker, listener: TcpListener, drain: Drain) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let drain = UnixStream::from_std(drain.into_stream()?)?;
    let told = async move {
        // An error here would mean that nobody can tell: then it is time, too.
        let _ = drain.readable().await;
    };
    worker.ready()?;
    axum::serve(listener, router()).with_graceful_shutdown(told).await?;
    Ok(())
}

fn router() -> Router {
    Router::new()
        .route("/", get(async || format!("Hello from process {}\n", std::process::id())))
        .route("/slow", get(slow))
        .layer(middleware::from_fn(count))
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(500)).await;
    "That took a while.\n"
}

async fn count(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    // The route and not the path: whoever sends the requests does not decide how many series there are.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let _in_flight = http_requests_in_flight().in_flight();
    let timer = http_request_duration_seconds(method.as_str(), route).start_timer();
    let response = next.run(request).await;
    timer.observe_duration();
    http_requests(method.as_str(), route, response.status().as_u16()).inc();
    response
}
