//! The body: an answer is being sent.

use std::any::type_name;
use std::mem;
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
        inner: Inner<B>,
        life: Life<Follower>,
    }
}

pin_project! {
    /// A body, or the bytes of one that has them all: to poll those is nobody's work, so that nothing need be watched.
    #[derive(Debug)]
    #[project = InnerProjection]
    enum Inner<B> {
        Whole { bytes: Bytes },
        Other { #[pin] body: B },
    }
}

impl<B: MessageBody> MeasuredBody<B> {
    pub(crate) fn new(body: B, life: Life<Follower>) -> Self {
        // Bytes are of a declared size, and what has none may be no body at all.
        let is_sized = matches!(body.size(), BodySize::Sized(1..)) && !life.is_over();
        let taken = if is_sized { body.try_into_bytes() } else { Err(body) };
        let inner = taken.map_or_else(|body| Inner::Other { body }, |bytes| Inner::Whole { bytes });
        Self { inner, life }
    }
}

impl<B: MessageBody> MessageBody for MeasuredBody<B> {
    type Error = B::Error;

    #[inline]
    fn size(&self) -> BodySize {
        match &self.inner {
            Inner::Whole { bytes } => bytes.size(),
            Inner::Other { body } => body.size(),
        }
    }

    #[inline]
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let this = self.project();
        let body = match this.inner.project() {
            InnerProjection::Whole { bytes } if bytes.is_empty() => {
                this.life.ended();
                return Poll::Ready(None);
            }
            InnerProjection::Whole { bytes } => {
                this.life.sent(bytes.len() as u64);
                return Poll::Ready(Some(Ok(mem::take(bytes))));
            }
            InnerProjection::Other { body } => body,
        };
        let watch = Watch::over(mem::take(this.life));
        let polled = body.poll_next(context);
        *this.life = watch.end_then(|life| match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(bytes))) => life.sent(bytes.len() as u64),
            Poll::Ready(Some(Err(_))) => life.body_failed(type_name::<B::Error>()),
            Poll::Ready(None) => life.ended(),
        });
        polled
    }
}
