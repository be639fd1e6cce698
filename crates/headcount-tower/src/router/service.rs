//! Around a whole router.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::extract::{MatchedPath, NestedPath};
use axum::serve::{IncomingStream, Listener};
use axum::{Router, ServiceExt};
use headcount_http::{Alike, Life};
use http::{Extensions, Request, Response};
use tower_layer::layer_fn;
use tower_service::Service;

use super::future::RouterFuture;
use super::known::RouterId;
use super::routed::{Routed, WithinAnother};
use crate::rules::{Rules, begin};

/// A router whose requests are measured. Made by [`HttpMetrics::around`](crate::HttpMetrics::around).
///
/// It is given to `axum::serve` as the router would be, or to whatever else serves a service; layers of tower's go around it.
#[derive(Clone, Debug)]
pub struct MeasuredRouter {
    /// For requests of which others are known that are alike.
    straight: Router,
    /// For all others.
    routed: Router,
    id: RouterId,
    /// Whether the application has no functions that are to see what the router knows of a request.
    learns: bool,
    rules: &'static Rules,
}

impl MeasuredRouter {
    pub(crate) fn new(router: Router, rules: &'static Rules) -> Self {
        // Layers that the router has are made now, and once for both.
        let straight: Router = router.with_state(());
        let id = RouterId::new();
        if !rules.recorder.is_enabled() {
            return Self { routed: straight.clone(), straight, id, learns: false, rules };
        }
        let routed = straight.clone().layer(layer_fn(move |inner| Routed::new(inner, id, rules)));
        Self { straight, routed, id, learns: rules.functions.are_none(), rules }
    }

    /// To be given to `axum::serve` where handlers ask for the client's address, as by
    /// [`Router::into_make_service_with_connect_info`].
    #[must_use]
    pub fn into_make_service_with_connect_info<C>(self) -> IntoMakeServiceWithConnectInfo<Self, C> {
        ServiceExt::<Request<Body>>::into_make_service_with_connect_info(self)
    }

    /// What becomes of a request of which others are known that are alike.
    #[inline(always)]
    fn alike<B>(&self, request: &mut Request<B>) -> Option<Alike> {
        if !self.learns {
            return None;
        }
        if is_within_another(request) {
            request.extensions_mut().insert(WithinAnother);
            return None;
        }
        self.id.alike(request)
    }
}

/// Whether the request has come through another router, of which its route is a part, too.
#[inline]
fn is_within_another<B>(request: &Request<B>) -> bool {
    let extensions = request.extensions();
    !extensions.is_empty() && has_route(extensions)
}

#[inline(never)]
fn has_route(extensions: &Extensions) -> bool {
    extensions.get::<MatchedPath>().is_some() || extensions.get::<NestedPath>().is_some()
}

impl<B> Service<Request<B>> for MeasuredRouter
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouterFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> RouterFuture {
        let Some(alike) = self.alike(&mut request) else {
            return RouterFuture::begin(&mut self.routed, request, Life::default(), self.rules);
        };
        let length = request.body().size_hint().exact();
        let accepted = alike.accept(length);
        if length.is_none() || !self.rules.requests_are_plain {
            let life = self.rules.arrive_as(accepted, &request);
            return RouterFuture::begin(&mut self.straight, request, life, self.rules);
        }
        let inner = self.straight.call(request);
        // Only now: what is begun would have to be ended if the router panicked, and what it makes be moved for that.
        RouterFuture::new(inner, begin(accepted), self.rules)
    }
}

/// For `axum::serve`.
impl<L: Listener> Service<IncomingStream<'_, L>> for MeasuredRouter {
    type Response = Self;
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: IncomingStream<'_, L>) -> Self::Future {
        ready(Ok(self.clone()))
    }
}
