//! How large requests are.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::routing::post;
use axum::{Router, http::Request};
use headcount_tower::Options;
use http_body::Frame;

use crate::{App, send, value};

/// A body of pieces, whose length nobody knows.
struct Pieces(std::slice::Iter<'static, &'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

#[test]
fn a_body_of_unknown_length_is_sized_by_what_is_read_of_it() {
    let check = |options: Options, body: fn() -> Body, path: &str, expected: (f64, f64)| {
        let router = Router::new().route("/read", post(async |body: String| body));
        let router = router.route("/ignored", post(async || ""));
        for (mut app, registry) in App::on_all_ways(&options, &router) {
            send(&mut app, Request::post(path).body(body()).unwrap());
            let size = |part: &str| {
                let labels = format!("{{method=\"POST\",route=\"{path}\"}}");
                value(registry, &format!("http_request_size_bytes_{part}{labels}"))
            };
            assert_eq!((size("count"), size("sum")), expected, "{}", registry.render());
        }
    };
    let pieces = || Body::new(Pieces(["ab", "", "cde"].iter()));
    check(Options::new(), pieces, "/read", (1.0, 5.0));
    check(Options::new(), pieces, "/ignored", (1.0, 0.0));
    check(Options::new(), || Body::from("abcdefg"), "/ignored", (1.0, 7.0));
    check(Options::new().undeclared_size_is_zero(), pieces, "/read", (1.0, 0.0));
}
