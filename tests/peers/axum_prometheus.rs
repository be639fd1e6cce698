//! Sends requests to an application with `axum-prometheus`, and prints what it counted.
//!
//! `axum-prometheus`, then a method, a path and a body for each request. Those for `/wait` are in flight when it prints.

use std::future::{Future, pending};
use std::task::{Context, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use axum_prometheus::{EndpointLabel, PrometheusMetricLayerBuilder};
use http_body_util::BodyExt;
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Its default for what no route matches is the raw path.
    let unmatched = EndpointLabel::MatchedPathWithFallbackFn(|_| "unmatched".to_owned());
    let (layer, metrics) = PrometheusMetricLayerBuilder::new()
        .with_endpoint_label_type(unmatched)
        .enable_response_body_size(true)
        .with_default_metrics()
        .build_pair();
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/users/{id}", get(async |Path(id): Path<String>| format!("user {id}")))
        .route("/echo", post(async |body: String| body))
        .route("/broken", get(async || (StatusCode::INTERNAL_SERVER_ERROR, "broken")))
        .route("/wait", get(async || pending::<String>().await))
        .fallback(async || (StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#))
        .layer(layer);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut in_flight = Vec::new();
    for request in arguments.chunks(3) {
        let [method, path, body] = request else { panic!("{request:?} is no request") };
        let request = Request::builder().method(method.as_str()).uri(path).body(Body::from(body.clone()));
        let mut answer = Box::pin(app.clone().oneshot(request.unwrap()));
        if path == "/wait" {
            assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            in_flight.push(answer);
        } else {
            answer.await.unwrap().into_body().collect().await.unwrap();
        }
    }
    print!("{}", metrics.render());
}
