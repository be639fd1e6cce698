//! An axum server that runs in several processes behind one port.
//!
//! Under `headcount run` it takes the listening socket from the supervisor, says when it is ready, measures
//! its requests, and on `SIGTERM` finishes what it has accepted. Without a supervisor it listens on a
//! port of its own and does the same, as one process.

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use headcount::worker::{Drain, Worker};
use headcount_tower::HttpMetrics;
use tokio::net::UnixStream;

fn main() -> Result<(), Box<dyn Error>> {
    let mut worker = Worker::from_environment()?;
    let listener = match worker.take_tcp_listener("http") {
        Some(listener) => listener,
        None => TcpListener::bind("127.0.0.1:8000")?,
    };
    let drain = worker.drain()?;
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
    // Around the router, whose routes are counted from 0 if they are expected, before anybody asks.
    let app = HttpMetrics::new().expect("GET", "/", &[200]).around(router());
    worker.ready()?;
    axum::serve(listener, app).with_graceful_shutdown(told).await?;
    Ok(())
}

fn router() -> Router {
    Router::new()
        .route("/", get(async || format!("Hello from process {}\n", std::process::id())))
        .route("/slow", get(slow))
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(500)).await;
    "That took a while.\n"
}
