//! The middleware, and the builder that makes it.

use std::future::{Ready, ready};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};

use crate::body::MeasuredBody;
use crate::head::ResponseHead;
use crate::hook::Hook;
use crate::rules::{Functions, Rules};
use crate::service::Measured;

headcount_http::middleware! {
    /// Measures every request of an application, or of a scope: `App::new().wrap(metrics)`.
    ///
    /// A small handle: make it once, before the server starts, and wrap the application of every thread in it.
    HttpMetrics for<'a> (&'a ServiceRequest, &ResponseHead<'a>)
}

impl<S, B> Transform<S, ServiceRequest> for HttpMetrics
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<MeasuredBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = Measured<S>;
    type Future = Ready<Result<Measured<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Measured::new(service, self.0)))
    }
}
