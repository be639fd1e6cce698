//! Around a router, requests count as they would in a layer inside of it, whether their paths have been there or not.

use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::response::Response;
use axum::routing::{any, get, post, put_service};
use headcount::Registry;
use headcount_tower::{HttpMetrics, Options, Preset};
use http::Version;
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use crate::{App, metrics, now, request, requests, send, value};

/// Answers whatever it is asked, and sees other paths than its router.
#[derive(Clone, Copy)]
struct Rewrites<S>(S);

impl<S: Service<Request>> Service<Request> for Rewrites<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> S::Future {
        *request.uri_mut() = "/elsewhere".parse().unwrap();
        request.extensions_mut().remove::<MatchedPath>();
        self.0.call(request)
    }
}

/// A service that is none of axum's.
#[derive(Clone, Copy)]
struct Answers;

impl Service<Request> for Answers {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Response, std::convert::Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        ready(Ok(Response::new(Body::from("of a service"))))
    }
}

/// A router with all that axum has for routes.
fn router() -> Router {
    let shop = Router::new()
        .route("/", get(async || "shop"))
        .route("/{item}", get(async || "an item").post(async |body: String| body))
        .nest("/{item}/parts", Router::new().route("/{part}", get(async || "a part")))
        .fallback(async || "nothing in the shop");
    let files = Router::new().route("/{name}", get(async || "a file"));
    let rewritten = Router::new().route("/old/{id}", get(async || "old")).layer(layer_fn(Rewrites));
    Router::new()
        .route("/", get(async || "hello"))
        .route("/users/me", get(async || "myself"))
        .route("/users/{id}", get(async || "a user"))
        .route("/users/{id}", post(async |body: String| body))
        .route("/rest/{*rest}", any(async || "the rest"))
        .route("/put", put_service(Answers))
        .route_service("/service/{id}", Answers)
        .nest("/shop", shop)
        .nest_service("/files", files)
        .merge(rewritten)
        .method_not_allowed_fallback(async || "not like this")
        .layer(layer_fn(|inner| inner))
}

const PATHS: [&str; 21] = [
    "/",
    "/?query=1",
    "/users/me",
    "/users/7",
    "/users/7?query=2",
    "/users/%2F",
    "/users/",
    "/rest/of/it",
    "/rest",
    "/put",
    "/service/1",
    "/shop",
    "/shop/7",
    "/shop/7/parts/8",
    "/shop/7/8",
    "/files",
    "/files/a",
    "/old/1",
    "/nowhere",
    "*",
    "/metrics",
];

/// What does not depend on time.
fn comparable(registry: Registry) -> String {
    let text = registry.render();
    let is_time = |line: &str| line.contains("_seconds_bucket") || line.contains("_seconds_sum");
    text.lines().filter(|line| !is_time(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn whatever_axum_routes_counts_as_in_a_layer_inside() {
    let registry = compared(&Options::new);
    // And not because there was nothing to compare.
    assert_eq!(requests(registry, "GET", "/shop/{item}/parts/{part}", "200"), 6.0, "{}", registry.render());
    assert_eq!(requests(registry, "GET", "/users/{id}", "200"), 18.0);
    assert_eq!(requests(registry, "GET", "/users/me", "200"), 6.0);
}

#[test]
fn so_does_what_is_told_apart_by_more_or_left_out_or_has_no_room() {
    let by_version = compared(&|| Options::new().preset(Preset::OpenTelemetry)).render();
    let is_told = |version| by_version.contains(&format!("network_protocol_version=\"{version}\""));
    assert!(is_told("1.1") && is_told("1.0"), "{by_version}");
    let some = compared(&|| Options::new().exclude_route("/users/{id}").exclude_method("PUT")).render();
    assert!(some.contains("/users/me") && !some.contains("/users/{id}") && !some.contains("PUT"), "{some}");
    let overflow = value(compared(&|| Options::new().label_sets(8)), "http_label_overflow_total");
    assert!(overflow > 100.0, "{overflow}");
}

/// Sends the same requests to an application with a layer and to one that is measured around its router.
fn compared(options: &dyn Fn() -> Options) -> Registry {
    let (inside, expected) = metrics(options(), |builder| builder);
    let (around, registry) = metrics(options(), |builder| builder);
    let (mut inside, mut around) = (router().layer(inside), around.around(router()));
    for version in [Version::HTTP_11, Version::HTTP_10].repeat(3) {
        for path in PATHS {
            for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "BREW"] {
                let request = || {
                    let mut request = request(method, path);
                    *request.version_mut() = version;
                    request
                };
                let [expected, answer] = [send(&mut inside, request()), send(&mut around, request())];
                assert_eq!(format!("{answer:?}"), format!("{expected:?}"), "{method} {path}");
            }
        }
        for app in [&mut App::new(inside.clone()), &mut App::new(around.clone())] {
            send(app, request("CONNECT", "example.com:80"));
        }
    }
    assert_eq!(comparable(registry), comparable(expected));
    registry
}

#[test]
fn routers_do_not_take_the_routes_of_others() {
    let (metrics, registry) = metrics(Options::new(), |builder| builder);
    let mut apps = ["/{a}", "/{b}"].map(|route| metrics.around(Router::new().route(route, get(async || ""))));
    for _ in 0..2 {
        apps.iter_mut().for_each(|app| drop(send(app, request("GET", "/x"))));
    }
    assert_eq!(["/{a}", "/{b}"].map(|route| requests(registry, "GET", route, "200")), [2.0, 2.0]);
}

/// A measured router inside of another counts with the whole template, which the path alone does not tell.
#[test]
fn inside_of_another_router_routes_are_whole() {
    type Put = fn(Router, headcount_tower::MeasuredRouter) -> Router;
    let check = |put: Put, path: &str, route: &str| {
        let (metrics, registry) = metrics(Options::new(), |builder| builder);
        let inner = Router::new().route("/x/{id}", get(async || "")).route("/{a}/x/{id}", get(async || ""));
        let mut inner = metrics.around(inner);
        // It knows the path as its own.
        (0..2).for_each(|_| drop(send(&mut inner, request("GET", "/x/1"))));
        let mut outer = put(Router::new(), inner);
        (0..2).for_each(|_| drop(send(&mut outer, request("GET", path))));
        let text = registry.render();
        let own = if route == "/x/{id}" { 4.0 } else { 2.0 };
        assert_eq!(requests(registry, "GET", "/x/{id}", "200"), own, "{text}");
        assert_eq!(requests(registry, "GET", route, "200"), own, "{text}");
    };
    check(|outer, inner| outer.nest_service("/in/{n}", inner), "/in/7/x/1", "/in/{n}/x/{id}");
    check(|outer, inner| outer.route_service("/{a}/x/{id}", inner), "/b/x/1", "/{a}/x/{id}/{a}/x/{id}");
    check(|outer, inner| outer.fallback_service(inner), "/x/1", "/x/{id}");
}

#[test]
fn functions_of_the_applications_see_what_they_see_in_a_layer() {
    let (metrics, registry) = metrics(Options::new(), |builder| {
        builder.label("matched", |request| match request.extensions.get::<MatchedPath>() {
            Some(_) => "there".into(),
            None => "none".into(),
        })
    });
    let mut app = metrics.around(router());
    (0..3).for_each(|_| drop(send(&mut app, request("GET", "/users/7"))));
    let sample = "http_requests_total{method=\"GET\",route=\"/users/{id}\",status=\"200\",matched=\"there\"}";
    assert_eq!(value(registry, sample), 3.0, "{}", registry.render());
}

#[test]
fn layers_of_the_router_are_made_once_and_its_state_goes_with_it() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let state = Arc::new(());
    let handler = async |State(_): State<Arc<()>>| "";
    let router =
        Router::new().route("/", get(handler)).route("/{id}", get(handler)).layer(layer_fn(|inner| {
            MADE.fetch_add(1, Ordering::Relaxed);
            Rewrites(inner)
        }));
    let (metrics, _) = metrics(Options::new(), |builder| builder);
    let mut app = metrics.around(router.with_state(state.clone()));
    let made = MADE.load(Ordering::Relaxed);
    for path in ["/", "/", "/1", "/1", "/2"] {
        send(&mut app.clone(), request("GET", path));
        send(&mut app, request("GET", path));
    }
    assert_eq!(MADE.load(Ordering::Relaxed), made);
    drop(app);
    assert_eq!(Arc::strong_count(&state), 1);
}

#[test]
fn a_hundred_thousand_random_paths_make_no_more_series_than_there_are_routes() {
    let (metrics, registry) = metrics(Options::new(), |builder| builder);
    let mut app = metrics.around(router());
    for n in 0..100_000_u32 {
        let random = n.wrapping_mul(0x9e37_79b9);
        let path = format!("/{}/{random:x}", ["users", "shop", "x"][n as usize % 3]);
        send(&mut app, request("GET", &path));
    }
    let text = registry.render();
    let counted = |route: &str| requests(registry, "GET", route, "200");
    assert_eq!((counted("/users/{id}"), counted("/shop/{item}")), (33_334.0, 33_333.0), "{text}");
    assert_eq!(requests(registry, "GET", "unmatched", "404"), 33_333.0, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("http_requests_total{")).count(), 3, "{text}");
}

#[test]
fn it_measures_nothing_where_it_is_switched_off() {
    let options = Options::new().enabled_by("HEADCOUNT_TEST_IS_NEVER_SET");
    let metrics = HttpMetrics::builder(options).build().unwrap();
    let mut app = metrics.around(router());
    let mut future = pin!(app.call(request("GET", "/users/7")));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(now(app.call(request("GET", "/users/7"))).unwrap().status(), 200);
}

/// It is served with all that a router is served with.
#[test]
fn a_layer_of_towers_goes_around_it() {
    let (metrics, registry) = metrics(Options::new(), |builder| builder);
    let mut app = layer_fn(Rewrites).layer(metrics.around(router()));
    (0..2).for_each(|_| drop(send(&mut app, request("GET", "/users/7"))));
    assert_eq!(requests(registry, "GET", "unmatched", "404"), 2.0, "{}", registry.render());
}
