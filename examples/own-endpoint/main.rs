//! An application that serves the merge of all its processes itself, at `/metrics` of its own port.
//!
//! Whichever process answers, it answers for all: each reads the directory to which all of them write.
//! What an application of Python's does with `MultiProcessCollector`.

use std::error::Error;
use std::net::TcpListener;
use std::sync::LazyLock;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use headcount::Counter;
use headcount::worker::Worker;
use headcount_merge::DirectoryCollector;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::net::UnixStream;

static GREETINGS: LazyLock<Counter> = LazyLock::new(|| {
    Counter::new("greetings", "Greetings that were sent.").expect("this name is well-formed")
});

fn main() -> Result<(), Box<dyn Error>> {
    let mut worker = Worker::from_environment()?;
    let listener = match worker.take_tcp_listener("http") {
        Some(listener) => listener,
        None => TcpListener::bind("127.0.0.1:8000")?,
    };
    LazyLock::force(&GREETINGS);
    // A registry that holds nothing but the directory: what this process counts is in there already.
    let registry = Registry::new();
    registry.register(Box::new(DirectoryCollector::from_environment()?))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(&worker, listener, registry))
}

async fn serve(worker: &Worker, listener: TcpListener, registry: Registry) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let drain = UnixStream::from_std(worker.drain()?.into_stream()?)?;
    let app = Router::new().route("/", get(greet)).route("/metrics", get(async move || metrics(&registry)));
    worker.ready()?;
    axum::serve(listener, app).with_graceful_shutdown(async move { drop(drain.readable().await) }).await?;
    Ok(())
}

async fn greet() -> &'static str {
    GREETINGS.inc();
    "Hello.\n"
}

fn metrics(registry: &Registry) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
