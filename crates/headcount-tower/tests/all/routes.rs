//! Requests are counted by axum's routes, and never by what clients send.

use axum::Router;
use axum::routing::get;
use headcount_tower::{OTHER, Options};

use crate::{metrics, request, requests, send};

fn app() -> Router {
    let inner = Router::new().route("/{item}", get(async || "an item"));
    Router::new()
        .route("/", get(async || "hello"))
        .route("/users/{id}", get(async || "a user"))
        .nest("/shop", inner)
}

#[test]
fn routes_are_templates_also_of_nested_routers_and_all_others_are_one() {
    let (layer, registry) = metrics(Options::new(), |builder| builder);
    let mut app = app().layer(layer);
    for path in ["/", "/users/1", "/users/2?x=y", "/shop/7", "/shop", "/nowhere"] {
        send(&mut app, request("GET", path));
    }
    send(&mut app, request("POST", "/users/1"));
    assert_eq!(requests(registry, "GET", "/", "200"), 1.0);
    assert_eq!(requests(registry, "GET", "/users/{id}", "200"), 2.0);
    assert_eq!(requests(registry, "POST", "/users/{id}", "405"), 1.0);
    assert_eq!(requests(registry, "GET", "/shop/{item}", "200"), 1.0);
    assert_eq!(requests(registry, "GET", "unmatched", "404"), 2.0, "{}", registry.render());
}

#[test]
fn a_hundred_thousand_random_paths_methods_and_hosts_make_no_more_series_than_documented() {
    let (layer, registry) = metrics(Options::new(), |builder| {
        builder.bounded_label("host", 3, |request| request.headers["host"].to_str().unwrap().into())
    });
    let mut app = app().layer(layer);
    for n in 0..100_000_u32 {
        let random = n.wrapping_mul(0x9e37_79b9);
        let (path, method) =
            (format!("/{}/{random:x}", ["users", "shop", "x"][n as usize % 3]), format!("M{n}"));
        let mut request = request(if n % 2 == 0 { "GET" } else { &method }, &path);
        request.headers_mut().insert("host", format!("h{random:x}").parse().unwrap());
        send(&mut app, request);
    }
    let text = registry.render();
    let sets: Vec<_> = text.lines().filter(|line| line.starts_with("http_requests_total{")).collect();
    // Three routes, GET and another; three hosts are told apart, by whatever they ask for.
    let counted: f64 = sets.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
    assert_eq!(counted, 100_000.0);
    assert_eq!(sets.iter().filter(|line| line.contains(&format!("host=\"{OTHER}\""))).count(), 6, "{sets:?}");
    assert_eq!(sets.len(), 6 + 3, "{sets:?}");
}
