//! The future: a request is being handled.

use std::any::type_name;
use std::future::Future;
use std::mem;
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
    #[inline(always)]
    pub(crate) fn new(inner: F, life: Life<Follower>, rules: &'static Rules) -> Self {
        Self { inner, life, rules }
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
        let watch = Watch::over(mem::take(this.life));
        let polled = this.inner.poll(context);
        let mut life = watch.end();
        match polled {
            Poll::Pending => {
                *this.life = life;
                Poll::Pending
            }
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(this.rules.answered(life, response))),
            Poll::Ready(Err(error)) => {
                life.failed(type_name::<E>());
                Poll::Ready(Err(error))
            }
        }
    }
}
