//! The endpoint serves what there is, to whom it may.

use axum::Router;
use axum::routing::get;
use headcount::Registry;
use headcount_tower::{CONTENT_TYPE, Credentials, Exposition, MetricsEndpoint, Options};
use http::header::{ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE as KIND, WWW_AUTHENTICATE};
use http_body_util::BodyExt;

use crate::{metrics, now, request, send};

#[test]
fn an_application_serves_its_own_metrics_beside_its_routes() {
    let (layer, registry) = metrics(Options::new(), |builder| builder);
    let endpoint = MetricsEndpoint::new(Exposition::of_registry(registry));
    let app = Router::new().route("/", get(async || "hello")).route_service("/metrics", endpoint.clone());
    let mut app = app.layer(layer);
    send(&mut app, request("GET", "/"));
    let response = send(&mut app, request("GET", "/metrics"));
    assert_eq!(response.status(), 200);
    assert!(response.headers()[KIND].to_str().unwrap().starts_with(CONTENT_TYPE));
    let text = String::from_utf8(endpoint.render().unwrap().0).unwrap();
    assert!(text.contains("http_requests_total{method=\"GET\",route=\"/\",status=\"200\"} 1\n"), "{text}");
    assert!(!text.contains("route=\"/metrics\""), "{text}");
    let post = send(&mut app, request("POST", "/metrics"));
    assert_eq!(post.status(), 405);
    assert_eq!(post.headers()[ALLOW], "GET, HEAD");
}

#[test]
fn the_format_is_the_one_that_is_wanted_with_a_directory_and_without() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let registry = Registry::in_directory(directory.path()).unwrap();
        registry.counter("c", "").unwrap().add(2);
    }
    let private = Registry::private().unwrap();
    private.counter("c", "").unwrap().add(6);
    for exposition in [Exposition::of_directory(directory.path()).unwrap(), Exposition::of_registry(private)]
    {
        answers_in_every_format(&MetricsEndpoint::new(exposition));
    }
}

fn answers_in_every_format(endpoint: &MetricsEndpoint) {
    let ask = |accept: &[&str]| {
        let mut request = request("GET", "/");
        for line in accept {
            request.headers_mut().append(ACCEPT, line.parse().unwrap());
        }
        let (head, body) = endpoint.respond(&request).into_parts();
        let kind = head.headers[KIND].to_str().unwrap().to_owned();
        (kind, String::from_utf8_lossy(&now(body.collect()).unwrap().to_bytes()).into_owned())
    };
    let (kind, text) = ask(&[]);
    assert!(kind.starts_with(CONTENT_TYPE) && text.contains("c_total 6\n"), "{kind}: {text}");
    // As Prometheus asks, which then gets exemplars and native histograms.
    let (kind, text) = ask(&["text/html", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]);
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(text.contains("c_total 6\n") && text.ends_with("# EOF\n"), "{text}");
    let protobuf =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let (kind, text) = ask(&[protobuf]);
    assert!(
        kind.starts_with("application/vnd.google.protobuf") && text.contains("c_total"),
        "{kind}: {text}"
    );
}

#[test]
fn only_those_with_the_credentials_see_the_metrics() {
    let registry = Registry::private().unwrap();
    let endpoint =
        |credentials| MetricsEndpoint::new(Exposition::of_registry(registry)).credentials(credentials);
    let ask = |endpoint: &MetricsEndpoint, header: Option<&str>| {
        let mut request = request("GET", "/metrics");
        if let Some(header) = header {
            request.headers_mut().insert(AUTHORIZATION, header.parse().unwrap());
        }
        endpoint.respond(&request)
    };
    let bearer = endpoint(Credentials::bearer("s3cret"));
    assert_eq!(ask(&bearer, Some("Bearer s3cret")).status(), 200);
    assert_eq!(ask(&bearer, Some("Bearer secret")).status(), 401);
    assert_eq!(ask(&bearer, None).headers()[WWW_AUTHENTICATE], "Bearer");
    let basic = endpoint(Credentials::basic("Aladdin", "open sesame"));
    assert_eq!(ask(&basic, Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")).status(), 200);
    assert_eq!(ask(&basic, None).headers()[WWW_AUTHENTICATE], "Basic realm=\"metrics\"");
}
