//! A server whose requests do what their clients say, step by step.
//!
//! `POST /talk` reads its request's body for words: `answer` begins an answer, every later word is a piece of
//! it, and the end ends it. `panic` panics, wherever it comes. After `hold` the end ends nothing: a server sees
//! that a client is gone when it has read all that it sent. `/upgrade` is upgraded at once.
//!
//! The middleware is around its router; with `layer` as argument, a layer inside. With `native`, durations and sizes are native histograms. With `fastapi`, `flask`, `opentelemetry` or `axum`, it has the names of their packages, and the other routes
//! are what `instrumented.py` and `axum_prometheus.rs` have.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use headcount::NativeBuckets;
use headcount::worker::Worker;
use headcount_tower::{HttpMetrics, Label, Metric, Options, Preset};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::net::UnixStream;

fn main() {
    let mut worker = Worker::from_environment().unwrap();
    let listener = worker.take_tcp_listener("http").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let drain = UnixStream::from_std(worker.drain().unwrap().into_stream().unwrap()).unwrap();
        let app = Router::new()
            .route("/", get(async || "hello"))
            .route("/users/{id}", get(async |Path(id): Path<String>| format!("user {id}")))
            .route("/echo", post(async |body: String| body))
            .route("/fail", get(async || -> StatusCode { panic!("as it was told") }))
            .route("/broken", get(async || (StatusCode::INTERNAL_SERVER_ERROR, "broken")))
            .route("/wait", get(async || pending::<String>().await))
            .fallback(async || (StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#))
            .route("/talk", post(talk))
            .route("/upgrade", get(async || (StatusCode::SWITCHING_PROTOCOLS, [("upgrade", "words")])));
        let metrics = HttpMetrics::builder(options()).build().unwrap();
        worker.ready().unwrap();
        let told = async move { drop(drain.readable().await) };
        if std::env::args().nth(1).as_deref() == Some("layer") {
            axum::serve(listener, app.layer(metrics)).with_graceful_shutdown(told).await.unwrap();
        } else {
            axum::serve(listener, metrics.around(app)).with_graceful_shutdown(told).await.unwrap();
        }
    });
}

fn options() -> Options {
    match std::env::args().nth(1).as_deref() {
        None | Some("layer") => {
            Options::new().with(Metric::FirstByte).with_streams().exemplars_from_traceparent()
        }
        Some("fastapi") => Options::new().preset(Preset::FastapiInstrumentator),
        // As with `group_by="url_rule"`: its default is the raw path.
        Some("flask") => {
            let options = Options::new().preset(Preset::FlaskExporter);
            options.label_name(Label::Route, "url_rule").unmatched("None")
        }
        // With a label that all series have.
        Some("native") => Options::new()
            .constant_label("region", "eu")
            .and_native(Metric::Duration, NativeBuckets::default())
            .native(Metric::ResponseSize, NativeBuckets::with_schema(3).unwrap()),
        Some("opentelemetry") => Options::new().preset(Preset::OpenTelemetry),
        Some("axum") => Options::new().preset(Preset::AxumPrometheus).with(Metric::ResponseSize),
        Some(other) => panic!("there is no preset {other}"),
    }
}

async fn talk(mut words: Body) -> Body {
    let mut holds = false;
    while let Some(Ok(frame)) = words.frame().await {
        match frame.into_data().unwrap().as_ref() {
            b"answer" => return Body::new(Echo { words, holds }),
            b"panic" => panic!("as it was told"),
            b"hold" => holds = true,
            word => panic!("{word:?} is no word"),
        }
    }
    if holds { pending().await } else { Body::empty() }
}

/// A body that is what comes in.
struct Echo {
    words: Body,
    holds: bool,
}

impl http_body::Body for Echo {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.words).poll_frame(context));
            match frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map(|word| &word[..]) {
                Some(b"panic") => panic!("as it was told"),
                Some(b"hold") => self.holds = true,
                None if self.holds => return Poll::Pending,
                _ => return Poll::Ready(frame),
            }
        }
    }
}
