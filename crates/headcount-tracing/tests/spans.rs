//! Requests in real spans of `tracing` with OpenTelemetry.

use std::fs::{File, read_dir};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use headcount::Registry;
use headcount_store::read::Image;
use headcount_tower::{HttpMetrics, Options};
use headcount_tracing::current_span;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tower::Service;
use tracing::info_span;
use tracing_subscriber::layer::SubscriberExt;

fn in_spans<R>(sampler: Sampler, work: impl FnOnce() -> R) -> R {
    let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work)
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn the_current_span_is_an_exemplar_if_it_is_sampled() {
    assert_eq!(current_span(), None);
    let found = in_spans(Sampler::AlwaysOn, || {
        assert_eq!(current_span(), None, "no span");
        info_span!("outer").in_scope(|| {
            let outer = current_span().unwrap();
            let inner = info_span!("inner").in_scope(|| current_span().unwrap());
            [outer, inner].map(|found| found.labels().map(|(_, id)| id.to_owned()).collect::<Vec<_>>())
        })
    });
    assert_eq!(found[0][0], found[1][0], "one trace");
    assert_ne!(found[0][1], found[1][1], "two spans");
    assert_eq!((found[0][0].len(), found[0][1].len()), (32, 16));
    let found = in_spans(Sampler::AlwaysOff, || info_span!("unsampled").in_scope(current_span));
    assert_eq!(found, None);
}

#[test]
fn a_request_is_kept_with_the_span_that_it_is_in() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let builder = HttpMetrics::builder(Options::new().registry(registry));
    let metrics = builder.exemplar_from(|_| current_span()).build().unwrap();
    let mut service = Router::new().route("/", get(async || "")).layer(metrics);
    let expected = in_spans(Sampler::AlwaysOn, || {
        info_span!("request").in_scope(|| {
            let answer = now(service.call(Request::new(Body::empty()))).unwrap();
            now(axum::body::to_bytes(answer.into_body(), 1)).unwrap();
            current_span().unwrap()
        })
    });
    let file = read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let image = Image::read(&File::open(file).unwrap()).unwrap();
    let found: Vec<_> = image.cells().exemplars().collect();
    assert_eq!(found.len(), 2, "the count and the duration: {found:?}");
    assert!(found.iter().all(|exemplar| exemplar.labels.iter().eq(expected.labels())), "{found:?}");
}
