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
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::hook::Follower;
use crate::request::RequestBody;
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
        match life.count_request() {
            // To axum any body but its own is one to be put into a box, so one of a declared length stays what it is.
            None => Self::new(service.call(request), life, rules),
            Some(read) => {
                Self::new(service.call(request.map(|body| RequestBody::new(body, Some(read)))), life, rules)
            }
        }
    }
}

impl Future for RouterFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let watch = Watch::over(mem::take(this.life));
        let mut polled = this.inner.poll(context);
        let life = watch.end();
        match &mut polled {
            Poll::Pending => *this.life = life,
            // The answer stays where the router has put it: to move its head would cost more than to count it.
            Poll::Ready(Ok(response)) => this.rules.answered_in_place(life, response),
            Poll::Ready(Err(never)) => match *never {},
        }
        polled
    }
}

impl fmt::Debug for RouterFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterFuture").field("life", &self.life).finish_non_exhaustive()
    }
}
