//! The request's body: one without a declared length is counted while it is read.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use headcount_http::BytesRead;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A request's body as the service within gets it.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        read: Option<BytesRead>,
    }
}

impl<B> RequestBody<B> {
    pub(crate) fn new(inner: B, read: Option<BytesRead>) -> Self {
        Self { inner, read }
    }

    /// The body as it came. What is read of it then is not counted.
    pub fn into_inner(self) -> B {
        self.inner
    }
}

/// Empty, for those who replace bodies.
impl<B: Default> Default for RequestBody<B> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(context);
        if let (Some(read), Poll::Ready(Some(Ok(frame)))) = (this.read, &polled)
            && let Some(data) = frame.data_ref()
        {
            read.add(data.remaining() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
