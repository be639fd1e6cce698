//! Of actix's.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest};

use super::Kept;

/// Follows requests, and does something with each that is answered.
#[derive(Clone, Copy)]
pub(crate) struct Followed<D>(pub(crate) D);

/// A service whose requests are followed.
pub(crate) struct Following<S, D> {
    inner: S,
    also: D,
}

pub(crate) struct Answering<F, D> {
    inner: F,
    also: D,
    kept: Option<Kept>,
}

pub(crate) struct Answer<B> {
    inner: B,
    kept: Option<Kept>,
}

impl<S, D: Copy> Transform<S, ServiceRequest> for Followed<D>
where
    Following<S, D>: Service<ServiceRequest>,
{
    type Response = <Following<S, D> as Service<ServiceRequest>>::Response;
    type Error = <Following<S, D> as Service<ServiceRequest>>::Error;
    type InitError = ();
    type Transform = Following<S, D>;
    type Future = Ready<Result<Following<S, D>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(Following { inner, also: self.0 }))
    }
}

impl<S, B, D> Service<ServiceRequest> for Following<S, D>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: Unpin,
    B: MessageBody + Unpin,
    D: Fn(&HttpRequest) + Copy + Unpin,
{
    type Response = ServiceResponse<Answer<B>>;
    type Error = Error;
    type Future = Answering<S::Future, D>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let kept = Some(Kept::new());
        Answering { inner: self.inner.call(request), also: self.also, kept }
    }
}

impl<F, B, D> Future for Answering<F, D>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>> + Unpin,
    D: Fn(&HttpRequest) + Unpin,
{
    type Output = Result<ServiceResponse<Answer<B>>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.inner).poll(context);
        polled.map_ok(|response| {
            (self.also)(response.request());
            response.map_body(|_, inner| Answer { inner, kept: self.kept.take() })
        })
    }
}

impl<B: MessageBody + Unpin> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, B::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_next(context);
        if matches!(polled, Poll::Ready(None)) {
            self.kept = None;
        }
        polled
    }
}
