//! The future: a request is being handled.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use headcount_http::{Life, Watch};
use http::Response;
use pin_project_lite::pin_project;

use crate::body::MeasuredBody;
use crate::hook::Follower;
use crate::rules::Rules;

pin_project! {
    /// The answer to come. To drop it gives the request up: its client is gone.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        life: Life<Follower>,
        rules: &'static Rules,
    }
}

impl<F> ResponseFuture<F> {
    /// An answer of which nothing is counted.
    #[inline]
    pub(crate) fn new(inner: F, rules: &'static Rules) -> Self {
        Self { inner, life: Life::default(), rules }
    }

    /// It goes on with a request's life.
    #[inline]
    pub(crate) fn measure(&mut self, life: Life<Follower>) {
        self.life = life;
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: http_body::Body,
{
    type Output = Result<Response<MeasuredBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let watch = Watch::over(this.life);
        // What is returned is made at once, and moved no more.
        let mut polled = this.inner.poll(context).map_ok(|response| response.map(MeasuredBody::unmeasured));
        watch.end_then(|life| match &polled {
            Poll::Pending => {}
            Poll::Ready(Ok(response)) => this.rules.answered(life, response),
            Poll::Ready(Err(_)) => life.failed(type_name::<E>()),
        });
        if let Poll::Ready(Ok(response)) = &mut polled {
            response.body_mut().measure(this.life.go_on());
        }
        polled
    }
}
