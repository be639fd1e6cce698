//! The future: a request is being handled.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::routing::future::RouteFuture;
use headcount_http::Life;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::future::ResponseFuture;
use crate::hook::Follower;
use crate::request::RequestBody;
use crate::rules::Rules;

pin_project! {
    /// The answer to come, with a body of axum's. To drop it gives the request up: its client is gone.
    pub struct RouterFuture {
        #[pin]
        inner: ResponseFuture<RouteFuture<Infallible>>,
    }
}

impl RouterFuture {
    /// Has a router or a route handle a request.
    ///
    /// Nobody watches over the call: axum only makes a future there, and whatever is the application's runs in that.
    #[inline(always)]
    pub(super) fn begin<S, B>(
        service: &mut S,
        request: Request<B>,
        mut life: Life<Follower>,
        rules: &'static Rules,
    ) -> Self
    where
        S: Service<Request<B>, Future = RouteFuture<Infallible>>
            + Service<Request<RequestBody<B>>, Future = RouteFuture<Infallible>>,
    {
        let inner = match life.count_request() {
            // To axum any body but its own is one to be put into a box, so one of a declared length stays what it is.
            None => service.call(request),
            Some(read) => service.call(request.map(|body| RequestBody::new(body, Some(read)))),
        };
        Self { inner: ResponseFuture::new(inner, life, rules) }
    }
}

impl Future for RouterFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.project().inner.poll(context);
        polled.map_ok(|response| response.map(|body| body.unless_measured().unwrap_or_else(Body::new)))
    }
}

impl fmt::Debug for RouterFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterFuture").field("life", self.inner.life()).finish_non_exhaustive()
    }
}
