//! The service and its future: a request's life begins, and gets an answer.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use headcount_http::{Body, Life, Watch};
use pin_project_lite::pin_project;

use crate::body::MeasuredBody;
use crate::follower::{Follower, Routes};
use crate::payload;
use crate::rules::{ERROR, Rules};

/// A service whose requests are measured.
#[derive(Debug)]
pub struct Measured<S> {
    inner: S,
    rules: &'static Rules,
    routes: Rc<Routes>,
}

impl<S> Measured<S> {
    pub(crate) fn new(inner: S, rules: &'static Rules) -> Self {
        Self { inner, rules, routes: Rc::default() }
    }
}

impl<S, B> Service<ServiceRequest> for Measured<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<MeasuredBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let mut life = self.rules.arrive(&request, &self.routes);
        if let Some(read) = life.count_request() {
            payload::count(&mut request, read);
        }
        let watch = Watch::over(life);
        let inner = self.inner.call(request);
        ResponseFuture { inner, life: watch.end(), rules: self.rules }
    }
}

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

impl<F, B> Future for ResponseFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<MeasuredBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let watch = Watch::over(mem::take(this.life));
        let polled = this.inner.poll(context);
        let life = watch.end_then(|life| match &polled {
            Poll::Pending => {}
            Poll::Ready(Ok(response)) => this.rules.answered(life, response),
            // A middleware refused: actix makes an answer of the error further out.
            Poll::Ready(Err(error)) => {
                let status = error.as_response_error().status_code();
                if status.is_server_error() {
                    life.errored(ERROR, status.as_u16());
                }
                let labels = Vec::new();
                life.answered(status.as_u16(), Body::None, labels);
            }
        });
        match polled {
            Poll::Pending => {
                *this.life = life;
                Poll::Pending
            }
            Poll::Ready(Ok(response)) => {
                Poll::Ready(Ok(response.map_body(|_, body| MeasuredBody::new(body, life.go_on()))))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}
