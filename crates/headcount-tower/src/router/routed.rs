//! Inside of the router, where it has told a request its route.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::routing::Route;
use http::{Request, Response};
use tower_service::Service;

use super::future::RouterFuture;
use super::known::RouterId;
use crate::rules::Rules;

/// Measures requests of one route, and notes whose route it is.
#[derive(Clone, Debug)]
pub(super) struct Routed {
    inner: Route,
    id: RouterId,
    rules: &'static Rules,
}

/// Told by a request that has come through another router: of its route, only a part is to be found by its path.
#[derive(Clone, Copy)]
pub(super) struct WithinAnother;

impl Routed {
    pub(super) fn new(inner: Route, id: RouterId, rules: &'static Rules) -> Self {
        Self { inner, id, rules }
    }
}

impl Service<Request<Body>> for Routed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouterFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> RouterFuture {
        let life = self.rules.arrive(&request);
        self.id.learn(&request, || {
            let is_ours = request.extensions().get::<WithinAnother>().is_none();
            if is_ours { life.alike() } else { None }
        });
        RouterFuture::begin(&mut self.inner, request, life, self.rules)
    }
}
