//! The future: a request is being handled.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::routing::future::RouteFuture;
use headcount_http::{Life, Watch};
use http::Response;
use pin_project_lite::pin_project;

use crate::hook::Follower;
use crate::rules::Rules;

pin_project! {
    /// The answer to come, with a body of axum's. To drop it gives the request up: its client is gone.
    pub struct RouterFuture {
        #[pin]
        inner: RouteFuture<Infallible>,
        life: Life<Follower>,
        rules: &'static Rules,
    }
}

impl RouterFuture {
    #[inline(always)]
    pub(super) fn new(inner: RouteFuture<Infallible>, life: Life<Follower>, rules: &'static Rules) -> Self {
        Self { inner, life, rules }
    }
}

impl Future for RouterFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.life.is_none() {
            // Measured inside of the router, or not at all: the answer is what it is to be.
            return this.inner.poll(context);
        }
        let watch = Watch::over(mem::take(this.life));
        let polled = this.inner.poll(context);
        let life = watch.end();
        match polled {
            Poll::Pending => {
                *this.life = life;
                Poll::Pending
            }
            Poll::Ready(Ok(response)) => {
                let response = this.rules.answered(life, response);
                Poll::Ready(Ok(response.map(|body| body.unless_measured().unwrap_or_else(Body::new))))
            }
        }
    }
}

impl fmt::Debug for RouterFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterFuture").field("life", &self.life).finish_non_exhaustive()
    }
}
