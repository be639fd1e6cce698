//! The body: an answer is being sent.

use std::any::type_name;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use headcount_http::{Life, Watch};
use pin_project_lite::pin_project;

use crate::follower::Follower;

pin_project! {
    /// A body whose request is over when the body is. To drop it before its end gives the request up.
    #[derive(Debug)]
    pub struct MeasuredBody<B> {
        #[pin]
        inner: B,
        life: Life<Follower>,
    }
}

impl<B> MeasuredBody<B> {
    pub(crate) fn new(inner: B, life: Life<Follower>) -> Self {
        Self { inner, life }
    }
}

impl<B: MessageBody> MessageBody for MeasuredBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let this = self.project();
        let watch = Watch::over(this.life);
        let polled = this.inner.poll_next(context);
        watch.end_then(|life| match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(bytes))) => life.sent(bytes.len() as u64),
            Poll::Ready(Some(Err(_))) => life.body_failed(type_name::<B::Error>()),
            Poll::Ready(None) => life.ended(),
        });
        polled
    }
}
