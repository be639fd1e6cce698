//! The middleware around an application of actix's, one request at a time.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use actix_http::Request;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{self, Bytes};
use actix_web::{App, Error, HttpRequest, HttpResponse, error};
use headcount::{NativeBuckets, Registry};
use headcount_actix::{
    Builder, Credentials, DoNotTrack, Exemplar, Exposition, Hook, HttpMetrics, Label, Metric,
    MetricsEndpoint, Options, Outcome, Report, ResponseHead, TokenUsage, do_not_track, track_error,
    track_exemplar, track_tokens,
};
use headcount_store::read::Image;

/// A body of pieces, whose length nobody knows.
struct Pieces(std::slice::Iter<'static, &'static str>);

impl MessageBody for Pieces {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, std::convert::Infallible>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))))
    }
}

fn metrics(options: Options, more: impl FnOnce(Builder) -> Builder) -> (HttpMetrics, Registry) {
    let registry = Registry::private().unwrap();
    (more(HttpMetrics::builder(options.registry(registry))).build().unwrap(), registry)
}

async fn app(
    layer: HttpMetrics,
) -> impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = Error> {
    let user = async |id: web::Path<String>| format!("user {id}");
    let chat = async || {
        track_tokens(&TokenUsage::new("small", 1, 2));
        HttpResponse::Ok().body("hm")
    };
    let silent = async || {
        do_not_track();
        "nothing to see"
    };
    let marked = async || {
        let mut response = HttpResponse::Ok().finish();
        response.extensions_mut().insert(DoNotTrack);
        response
    };
    let streamed = async || HttpResponse::Ok().message_body(Pieces(["ab", "cde"].iter())).unwrap();
    let app = App::new()
        .route("/users/{id}", web::get().to(user))
        .route("/streamed", web::get().to(streamed))
        .route(
            "/fails",
            web::get().to(async || -> Result<String, Error> { Err(error::ErrorBadGateway("x")) }),
        )
        .route("/panics", web::get().to(async || -> String { panic!("expected") }))
        .route("/waits", web::get().to(async || std::future::pending::<String>().await))
        .route("/chat", web::post().to(chat))
        .route("/silent", web::get().to(silent))
        .route("/marked", web::get().to(marked))
        .route("/echo", web::post().to(async |body: String| body));
    init_service(app.wrap(layer)).await
}

fn value(registry: Registry, key: &str) -> f64 {
    let text = registry.render();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

fn requests(registry: Registry, route: &str, status: &str) -> f64 {
    value(registry, &format!("http_requests_total{{method=\"GET\",route=\"{route}\",status=\"{status}\"}}"))
}

fn run(test: impl Future<Output = ()>) {
    actix_web::rt::System::new().block_on(test);
}

#[test]
fn requests_are_counted_by_pattern_and_all_others_are_one() {
    run(async {
        let (layer, registry) = metrics(Options::new().with(Metric::Tokens), |builder| builder);
        let app = app(layer).await;
        for path in ["/users/1", "/users/2", "/nowhere", "/elsewhere", "/silent", "/marked"] {
            read_body(call_service(&app, TestRequest::get().uri(path).to_request()).await).await;
        }
        assert_eq!(requests(registry, "/users/{id}", "200"), 2.0);
        assert_eq!(requests(registry, "unmatched", "404"), 2.0);
        let size = "http_response_size_bytes_sum{method=\"GET\",route=\"/users/{id}\"}";
        assert_eq!(value(registry, size), 12.0);
        let post = TestRequest::post().uri("/chat").insert_header((header::CONTENT_LENGTH, 5));
        read_body(call_service(&app, post.set_payload("12345").to_request()).await).await;
        let size = "http_request_size_bytes_sum{method=\"POST\",route=\"/chat\"}";
        assert_eq!(value(registry, size), 5.0, "{}", registry.render());
        let tokens = "http_token_usage_total{route=\"/chat\",model=\"small\",kind=\"total\"}";
        assert_eq!((value(registry, tokens), value(registry, "http_requests_in_flight")), (3.0, 0.0));
        assert!(!registry.render().contains("/silent") && !registry.render().contains("/marked"));
    });
}

#[test]
fn however_a_request_ends_it_is_counted_once() {
    run(async {
        let (layer, registry) = metrics(Options::new().with_streams(), |builder| builder);
        let app = app(layer).await;
        let get = |path: &str| app.call(TestRequest::get().uri(path).to_request());
        let in_flight = || value(registry, "http_requests_in_flight");

        assert_eq!(read_body(get("/streamed").await.unwrap()).await, "abcde");
        assert_eq!(requests(registry, "/streamed", "200"), 1.0);
        assert_eq!(value(registry, "http_stream_chunks_total{route=\"/streamed\"}"), 2.0);

        let mut body = Box::pin(get("/streamed").await.unwrap().into_body());
        assert!(poll_fn(|context| body.as_mut().poll_next(context)).await.is_some());
        assert_eq!(in_flight(), 1.0);
        drop(body);
        assert_eq!((requests(registry, "/streamed", "499"), in_flight()), (1.0, 0.0));

        // One that has all its bytes is complete as soon as they are handed on.
        let mut body = Box::pin(get("/users/1").await.unwrap().into_body());
        assert_eq!((body.size(), in_flight()), (BodySize::Sized(6), 1.0));
        assert!(poll_fn(|context| body.as_mut().poll_next(context)).await.is_some());
        drop(body);
        drop(get("/users/1").await.unwrap());
        let [complete, gone] = ["200", "499"].map(|status| requests(registry, "/users/{id}", status));
        assert_eq!((complete, gone, in_flight()), (1.0, 1.0, 0.0));

        let mut waits = Box::pin(get("/waits"));
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(in_flight(), 1.0);
        drop(waits);
        assert_eq!((requests(registry, "/waits", "499"), in_flight()), (1.0, 0.0));

        let mut panics = Box::pin(get("/panics"));
        let poll = || panics.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
        assert_eq!((requests(registry, "/panics", "500"), in_flight()), (1.0, 0.0));

        read_body(get("/fails").await.unwrap()).await;
        assert_eq!((requests(registry, "/fails", "502"), in_flight()), (1.0, 0.0));
        let exceptions =
            |labels: &str| value(registry, &format!("http_exceptions_total{{method=\"GET\",{labels}}}"));
        assert_eq!(exceptions("route=\"/panics\",status=\"500\",type=\"panic\""), 1.0);
        assert_eq!(exceptions("route=\"/fails\",status=\"502\",type=\"actix_web::Error\""), 1.0);
    });
}

#[test]
fn a_request_has_its_route_whoever_asks_for_it_first() {
    async fn fails() -> &'static str {
        track_error(&std::fmt::Error, 503);
        track_error(&std::fmt::Error, 503);
        "done"
    }
    async fn waits() -> &'static str {
        track_error(&std::fmt::Error, 503);
        std::future::pending().await
    }
    run(async {
        // Asked for when it is wanted, and on arrival.
        let by_route = Options::new().labels(Metric::InFlight, &[Label::Route]);
        for options in [Options::new(), by_route, Options::new().exclude_route("/left/out")] {
            let (layer, registry) = metrics(options, |builder| builder);
            let team = web::scope("/teams/{team}")
                .route("/fails/{id}", web::get().to(fails))
                .route("/waits/{id}", web::get().to(waits));
            let app = App::new().service(team).route("/{id}", web::get().to(async || "")).wrap(layer);
            let app = init_service(app).await;
            let get = |path: &str| app.call(TestRequest::get().uri(path).to_request());
            let mut waits = Box::pin(get("/teams/a/waits/1"));
            for _ in 0..2 {
                assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            // While it waits, others come and go.
            for path in ["/teams/a/fails/1", "/7", "/teams/b/fails/2"] {
                read_body(get(path).await.unwrap()).await;
            }
            drop(waits);
            let (fails, waits) = ("/teams/{team}/fails/{id}", "/teams/{team}/waits/{id}");
            assert_eq!(requests(registry, fails, "200"), 2.0, "{}", registry.render());
            assert_eq!((requests(registry, waits, "499"), requests(registry, "/{id}", "200")), (1.0, 1.0));
            for (route, count) in [(fails, 4.0), (waits, 1.0)] {
                let labels = format!("method=\"GET\",route=\"{route}\",status=\"503\"");
                let errors = format!("http_exceptions_total{{{labels},type=\"core::fmt::Error\"}}");
                assert_eq!(value(registry, &errors), count, "{}", registry.render());
            }
            let text = registry.render();
            let in_flight = text.lines().filter(|line| line.starts_with("http_requests_in_flight"));
            assert!(
                in_flight.clone().count() > 0 && in_flight.clone().all(|line| line.ends_with(" 0")),
                "{text}"
            );
            assert!(!text.contains("route=\"\"") && !text.contains("unmatched"), "{text}");
        }
    });
}

#[test]
fn routes_may_be_left_out_and_labels_may_be_computed() {
    run(async {
        let options = Options::new().exclude_route("/users/{id}");
        let (layer, registry) = metrics(options, |builder| {
            builder.label("path", |request| Cow::Owned(request.path().to_owned()))
        });
        let app = app(layer).await;
        for path in ["/users/1", "/streamed"] {
            read_body(call_service(&app, TestRequest::get().uri(path).to_request()).await).await;
        }
        let text = registry.render();
        let counted: Vec<&str> =
            text.lines().filter(|line| line.starts_with("http_requests_total{")).collect();
        let labels = "method=\"GET\",route=\"/streamed\",status=\"200\",path=\"/streamed\"";
        assert_eq!(counted, [format!("http_requests_total{{{labels}}} 1")]);
    });
}

#[test]
fn functions_of_the_applications_are_asked() {
    run(async {
        // Whatever is a metric's kind.
        let options = Options::new().native(Metric::Duration, NativeBuckets::default());
        let (layer, registry) = metrics(options, |builder| {
            builder
                .route(|request| Some(Cow::Borrowed(request.path().split('/').nth(1)?)))
                .bounded_label("tenant", 1, |request| match request.headers().get("x-tenant") {
                    Some(tenant) => String::from_utf8_lossy(tenant.as_bytes()),
                    None => Cow::Borrowed("none"),
                })
                .response_label("length", |head| {
                    Cow::Borrowed(head.status.canonical_reason().unwrap_or_default())
                })
                .exclude(|request| request.path() == "/streamed")
        });
        let app = app(layer).await;
        for (path, tenant) in [("/users/1", "acme"), ("/users/2", "other"), ("/streamed", "acme")] {
            let request = TestRequest::get().uri(path).insert_header(("x-tenant", tenant));
            read_body(call_service(&app, request.to_request()).await).await;
        }
        let text = registry.render();
        for tenant in ["acme", "_OTHER"] {
            let labels = format!("route=\"users\",status=\"200\",tenant=\"{tenant}\",length=\"OK\"");
            for name in ["http_requests_total", "http_request_duration_seconds_count"] {
                assert!(text.contains(&format!("{name}{{method=\"GET\",{labels}}} 1\n")), "{text}");
            }
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("http_requests_total{")).count(), 2, "{text}");
    });
}

#[test]
fn a_body_of_unknown_length_is_sized_by_what_is_read_of_it() {
    run(async {
        let (layer, registry) = metrics(Options::new(), |builder| builder);
        let app = app(layer).await;
        let echo = TestRequest::post()
            .uri("/echo")
            .insert_header((header::TRANSFER_ENCODING, "chunked"))
            .set_payload("12345");
        assert_eq!(read_body(call_service(&app, echo.to_request()).await).await, "12345");
        let size = |part: &str| {
            value(registry, &format!("http_request_size_bytes_{part}{{method=\"POST\",route=\"/echo\"}}"))
        };
        assert_eq!((size("count"), size("sum")), (1.0, 5.0), "{}", registry.render());
    });
}

#[test]
fn hooks_see_requests_answers_and_how_they_end() {
    /// Notes what it sees.
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl Hook for Notes {
        type Kept = String;

        fn request(&self, request: &ServiceRequest) -> String {
            request.path().to_owned()
        }

        fn response(&self, kept: &mut String, response: &ResponseHead<'_>) {
            kept.push_str(response.status.as_str());
        }

        fn finished(&self, kept: &mut String, report: &Report<'_>) {
            let Report { status, outcome, request_bytes, response_bytes, .. } = report;
            assert_eq!(*outcome, Outcome::Answered);
            self.0.lock().unwrap().push(format!("{kept} {status} {request_bytes:?} {response_bytes}"));
        }
    }

    run(async {
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let (layer, _) = metrics(Options::new(), |builder| builder.hook(Notes(Arc::clone(&notes))));
        let app = app(layer).await;
        read_body(call_service(&app, TestRequest::get().uri("/users/1").to_request()).await).await;
        read_body(call_service(&app, TestRequest::get().uri("/nowhere").to_request()).await).await;
        let echo = TestRequest::post()
            .uri("/echo")
            .insert_header((header::TRANSFER_ENCODING, "chunked"))
            .set_payload("123");
        read_body(call_service(&app, echo.to_request()).await).await;
        let expected = ["/users/1200 200 Some(0) 6", "/nowhere404 404 Some(0) 0", "/echo200 200 Some(3) 3"];
        assert_eq!(*notes.lock().unwrap(), expected);
    });
}

#[test]
fn the_endpoint_shows_the_metrics_to_those_who_may_see_them() {
    run(async {
        let registry = Registry::private().unwrap();
        registry.counter("c", "").unwrap().inc();
        let endpoint = MetricsEndpoint::new(Exposition::of_registry(registry));
        let endpoint = endpoint.credentials(Credentials::bearer("s3cret"));
        let handler = move |request: HttpRequest| {
            let response = endpoint.respond(&request);
            async { response }
        };
        let app = init_service(App::new().route("/metrics", web::get().to(handler))).await;
        let ask = |token: &str| {
            let request = TestRequest::get().uri("/metrics");
            app.call(request.insert_header((header::AUTHORIZATION, format!("Bearer {token}"))).to_request())
        };
        assert_eq!(ask("wrong").await.unwrap().status(), 401);
        assert!(read_body(ask("s3cret").await.unwrap()).await.ends_with(b"c_total 1\n"));
    });
}

#[test]
fn the_endpoint_answers_with_a_directory_in_the_format_that_is_wanted() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        Registry::in_directory(directory.path()).unwrap().counter("c", "").unwrap().inc();
        let endpoint = MetricsEndpoint::new(Exposition::of_directory(directory.path()).unwrap());
        let openmetrics = (header::ACCEPT, "application/openmetrics-text;version=1.0.0,*/*;q=0.1");
        let response = endpoint.respond(&TestRequest::get().insert_header(openmetrics).to_http_request());
        let kind = response.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        assert!(body.ends_with(b"c_total 1\n# EOF\n"), "{body:?}");
    });
}

#[test]
fn requests_are_kept_with_exemplars_from_a_function_a_header_or_the_handler() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::in_directory(directory.path()).unwrap();
        let options = Options::new().registry(registry).exemplars_from_traceparent();
        let builder = HttpMetrics::builder(options).exemplar_from(|request| {
            let id = request.headers().get("x-request-id")?.to_str().ok()?;
            Exemplar::new(&[("request_id", id)]).ok()
        });
        let handler = async || {
            track_exemplar(Exemplar::new(&[("job", "7")]).unwrap());
            "done"
        };
        let app = App::new()
            .route("/own", web::get().to(async || ""))
            .route("/trace", web::get().to(async || ""))
            .route("/handler", web::get().to(handler));
        let app = init_service(app.wrap(builder.build().unwrap())).await;
        for (path, name, value) in [
            ("/own", "x-request-id", "a7".to_owned()),
            ("/trace", "traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01")),
            ("/trace", "traceparent", format!("00-{TRACE}-00f067aa0ba902b7-00")),
            ("/handler", "x-other", String::new()),
        ] {
            let request = TestRequest::get().uri(path).insert_header((name, value));
            read_body(call_service(&app, request.to_request()).await).await;
        }
        let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        let image = Image::read(&std::fs::File::open(file).unwrap()).unwrap();
        let found: Vec<_> = image.cells().exemplars().collect();
        let labels = found.iter().map(|exemplar| exemplar.labels.iter().next().unwrap()).collect::<Vec<_>>();
        let each = [("request_id", "a7"), ("trace_id", TRACE), ("job", "7")];
        assert_eq!(labels, each.map(|one| [one; 2]).concat(), "the count and the duration of each");
    });
}
