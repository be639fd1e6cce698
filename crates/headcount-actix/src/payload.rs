//! The request's body, whose bytes are counted while they are read.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_core::Stream;
use headcount_http::BytesRead;

/// Counts what is read of a request's body from now on.
pub(crate) fn count(request: &mut ServiceRequest, read: BytesRead) {
    let inner = request.take_payload();
    request.set_payload(Payload::Stream { payload: Box::pin(Counted { inner, read }) });
}

struct Counted {
    inner: Payload,
    read: BytesRead,
}

impl Stream for Counted {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.inner).poll_next(context);
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.read.add(bytes.len() as u64);
        }
        polled
    }
}
