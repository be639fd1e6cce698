//! The body: an answer is being sent.

use std::any::type_name;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use headcount_http::{Life, Watch};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::hook::Follower;
use crate::rules::status_of_grpc;

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
    /// A body with what is left of its request's life.
    #[inline(always)]
    pub(crate) fn new(inner: B, life: Life<Follower>) -> Self {
        Self { inner, life }
    }
}

/// Empty, and not measured: for those who replace bodies.
impl<B: Default> Default for MeasuredBody<B> {
    fn default() -> Self {
        Self::new(B::default(), Life::default())
    }
}

impl<B: Body> Body for MeasuredBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let watch = Watch::over(mem::take(this.life));
        let polled = this.inner.as_mut().poll_frame(context);
        *this.life = watch.end_then(|life| match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    life.sent(data.remaining() as u64);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    if let Some(status) = status_of_grpc(trailers) {
                        life.grpc_status(status);
                    }
                    // Nothing comes after them, and nobody asks.
                    life.ended();
                } else if this.inner.is_end_stream() {
                    life.ended();
                }
            }
            Poll::Ready(Some(Err(_))) => life.body_failed(type_name::<B::Error>()),
            Poll::Ready(None) => life.ended(),
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
