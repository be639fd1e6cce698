//! What an application's functions and handlers say is done.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router, http::StatusCode};
use headcount::{NativeBuckets, Registry};
use headcount_store::read::Image;
use headcount_tower::{
    DoNotTrack, Exemplar, Hook, HttpMetrics, Metric, Options, Outcome, Report, Reporter, RequestHead,
    ResponseHead, TokenUsage, do_not_track, track_error, track_exemplar, track_tokens,
};
use tower_service::Service;

use crate::{metrics, request, requests, send, value};

#[test]
fn labels_are_computed_from_requests_and_answers() {
    #[derive(Clone)]
    struct Version(&'static str);
    // Whatever is a metric's kind.
    let options = Options::new().native(Metric::Duration, NativeBuckets::default());
    let (layer, registry) = metrics(options, |builder| {
        builder
            .label("tenant", |request| match request.headers.get("x-tenant") {
                Some(tenant) => String::from_utf8_lossy(tenant.as_bytes()),
                None => Cow::Borrowed("none"),
            })
            .response_label("api", |response| match response.extensions.get::<Version>() {
                Some(version) => Cow::Borrowed(version.0),
                None => Cow::Borrowed(""),
            })
    });
    let mut app = Router::new().route("/", get(async || Extension(Version("v2")))).layer(layer);
    let mut known = request("GET", "/");
    known.headers_mut().insert("x-tenant", "acme".parse().unwrap());
    send(&mut app, known);
    send(&mut app, request("POST", "/"));
    let text = registry.render();
    for name in ["http_requests_total", "http_request_duration_seconds_count"] {
        let count = |labels: &str| value(registry, &format!("{name}{{{labels}}}"));
        let known = "method=\"GET\",route=\"/\",status=\"200\",tenant=\"acme\",api=\"v2\"";
        let other = "method=\"POST\",route=\"/\",status=\"405\",tenant=\"none\",api=\"\"";
        assert_eq!((count(known), count(other)), (1.0, 1.0), "{text}");
    }
}

#[test]
fn routes_may_be_a_function_of_the_applications() {
    let (layer, registry) = metrics(Options::new(), |builder| {
        builder.route(|request: &RequestHead<'_>| Some(Cow::Borrowed(request.uri.path().split('/').nth(1)?)))
    });
    let mut app = Router::new().layer(layer);
    for path in ["/a/1", "/a/2", "/b"] {
        send(&mut app, request("GET", path));
    }
    assert_eq!((requests(registry, "GET", "a", "404"), requests(registry, "GET", "b", "404")), (2.0, 1.0));
}

#[test]
fn handlers_leave_themselves_out_and_predicates_leave_out_requests() {
    let (layer, registry) =
        metrics(Options::new(), |builder| builder.exclude(|request| request.headers.contains_key("x-probe")));
    let silent = async || {
        do_not_track();
        "nothing to see"
    };
    let app = Router::new().route("/silent", get(silent)).route("/", get(async || "hello"));
    let mut app = app.route("/marked", get(async || Extension(DoNotTrack))).layer(layer);
    for path in ["/silent", "/marked", "/"] {
        send(&mut app, request("GET", path));
    }
    let mut probe = request("GET", "/");
    probe.headers_mut().insert("x-probe", "1".parse().unwrap());
    send(&mut app, probe);
    let text = registry.render();
    assert_eq!(text.lines().filter(|line| line.starts_with("http_requests_total{")).count(), 1, "{text}");
    assert_eq!(requests(registry, "GET", "/", "200"), 1.0);
    assert_eq!(value(registry, "http_requests_in_flight"), 0.0);
}

#[test]
fn handlers_report_errors_and_tokens_by_a_call_an_extension_or_from_elsewhere() {
    let (layer, registry) = metrics(Options::new().with(Metric::Tokens), |builder| builder);
    let risky = async || {
        let error = "x".parse::<u8>().unwrap_err();
        track_error(&error, 502);
        StatusCode::BAD_GATEWAY
    };
    let chat = async || {
        track_tokens(&TokenUsage::new("small", 10, 20));
        let reporter = Reporter::current().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| reporter.tokens(&TokenUsage::new("small", 0, 5)));
        });
        Extension(TokenUsage::new("large", 1, 2)).into_response()
    };
    let mut app = Router::new().route("/risky", get(risky)).route("/chat", get(chat)).layer(layer);
    for path in ["/risky", "/chat"] {
        send(&mut app, request("GET", path));
    }
    let labels = "{method=\"GET\",route=\"/risky\",status=\"502\",type=\"core::num::error::ParseIntError\"}";
    assert_eq!(value(registry, &format!("http_exceptions_total{labels}")), 1.0, "{}", registry.render());
    let tokens = |model: &str| {
        ["input", "output", "total"].map(|kind| {
            let labels = format!("{{route=\"/chat\",model=\"{model}\",kind=\"{kind}\"}}");
            value(registry, &format!("http_token_usage_total{labels}"))
        })
    };
    assert_eq!((tokens("small"), tokens("large")), ([10.0, 25.0, 35.0], [1.0, 2.0, 3.0]));
    // Whoever is in no request reports nothing.
    track_tokens(&TokenUsage::new("small", 1, 1));
    assert_eq!(tokens("small"), [10.0, 25.0, 35.0]);
}

/// Notes what it sees.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Hook for Notes {
    type Kept = String;

    fn request(&self, request: &RequestHead<'_>) -> String {
        request.uri.path().to_owned()
    }

    fn response(&self, kept: &mut String, response: &ResponseHead<'_>) {
        kept.push_str(&format!(" {}", response.status));
    }

    fn finished(&self, kept: &mut String, report: &Report<'_>) {
        let Report { method, route, status, outcome, request_bytes, response_bytes, .. } = report;
        assert!(report.to_head.is_none_or(|to_head| to_head <= report.duration));
        let has_head = report.to_head.is_some();
        let line = format!(
            "{kept}: {method} {route} {status} {outcome:?} {has_head} {request_bytes:?} {response_bytes}"
        );
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn a_hook_sees_the_request_the_answer_and_how_it_ended() {
    let notes = Notes::default();
    let hook = notes.clone();
    let (layer, _) = metrics(Options::new(), |builder| builder.hook(hook));
    let echo = async |request: Request| request.into_body();
    let waits = async || std::future::pending::<StatusCode>().await;
    let mut app = Router::new().route("/echo/{x}", get(echo)).route("/waits", get(waits)).layer(layer);
    send(&mut app, request("GET", "/echo/1").map(|_| "twelve bytes".into()));
    let mut given_up = Box::pin(app.call(request("GET", "/waits")));
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(given_up);
    let expected = [
        "/echo/1 200 OK: GET /echo/{x} 200 Answered true Some(12) 12".to_owned(),
        format!("/waits: GET /waits 499 {:?} false Some(0) 0", Outcome::ClientGone),
    ];
    assert_eq!(*notes.0.lock().unwrap(), expected);
}

/// Sends requests of all sorts, and looks which exemplars are kept.
fn check_exemplars(options: Options) {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let options = options.registry(registry).exemplars_from_traceparent();
    let builder = HttpMetrics::builder(options).exemplar_from(|request| {
        let id = request.headers.get("x-request-id")?.to_str().ok()?;
        Exemplar::new(&[("request_id", id)]).ok()
    });
    let silent = get(async || "");
    let handler = get(async || track_exemplar(Exemplar::new(&[("job", "7")]).unwrap()));
    let app = Router::new()
        .route("/own", silent.clone())
        .route("/trace", silent.clone())
        .route("/unsampled", silent)
        .route("/handler", handler);
    let mut app = app.layer(builder.build().unwrap());
    for (path, headers) in [
        (
            "/own",
            [("x-request-id", "a7".to_owned()), ("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))],
        ),
        ("/trace", [("x-other", String::new()), ("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))]),
        (
            "/unsampled",
            [("x-other", String::new()), ("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-00"))],
        ),
        ("/handler", [("x-other", String::new()), ("traceparent", "nonsense".to_owned())]),
    ] {
        let mut request = request("GET", path);
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        send(&mut app, request);
    }
    let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let image = Image::read(&std::fs::File::open(file).unwrap()).unwrap();
    let found: Vec<_> = image.cells().exemplars().collect();
    let labels = found.iter().map(|exemplar| exemplar.labels.iter().next().unwrap()).collect::<Vec<_>>();
    // The count and the duration of each.
    let each = [("request_id", "a7"), ("trace_id", TRACE), ("job", "7")];
    assert_eq!(labels, each.map(|one| [one; 2]).concat());
    assert_eq!(requests(registry, "GET", "/unsampled", "200"), 1.0);
}

#[test]
fn requests_are_kept_with_exemplars_from_a_function_a_header_or_the_handler() {
    check_exemplars(Options::new());
    check_exemplars(Options::new().native(Metric::Duration, NativeBuckets::default()));
    check_exemplars(Options::new().and_native(Metric::Duration, NativeBuckets::default()));
}
