//! The service: a request's life begins.

use std::task::{Context, Poll};

use headcount_http::Watch;
use http::{Request, Response};
use tower_service::Service;

use crate::body::MeasuredBody;
use crate::future::ResponseFuture;
use crate::request::RequestBody;
use crate::rules::Rules;

/// A service whose requests are measured. The service within gets its requests with a [`RequestBody`].
#[derive(Clone, Copy, Debug)]
pub struct Measured<S> {
    inner: S,
    rules: &'static Rules,
}

impl<S> Measured<S> {
    pub(crate) fn new(inner: S, rules: &'static Rules) -> Self {
        Self { inner, rules }
    }

    /// The service within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, C> Service<Request<B>> for Measured<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<C>>,
    B: http_body::Body,
    C: http_body::Body,
{
    type Response = Response<MeasuredBody<C>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut life = self.rules.arrive(&request);
        let read = life.count_request();
        let watch = Watch::over(life);
        let inner = self.inner.call(request.map(|body| RequestBody::new(body, read)));
        ResponseFuture::new(inner, watch.end(), self.rules)
    }
}
