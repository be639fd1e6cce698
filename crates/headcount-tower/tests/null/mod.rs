//! A service that does nothing, for a test and for benches.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

/// Returns the body that it gets, and allocates nothing.
#[derive(Clone, Copy)]
pub(crate) struct Null;

impl<B> Service<Request<B>> for Null {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // It looks at its request, and the compiler cannot leave that out.
        black_box(&request);
        ready(Ok(Response::new(request.into_body())))
    }
}
