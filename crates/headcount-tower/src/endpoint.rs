//! The endpoint: the metrics of all processes, as a service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use headcount_http::Reply;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

headcount_http::metrics_endpoint! {
    /// A service that answers every `GET` with the metrics: the merge of all processes where there is a metrics
    /// directory, else this process's own.
    ///
    /// It reads the files where it is polled, which takes about a millisecond. Where that is too much, let
    /// `headcount run` serve the metrics.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "axum")] {
    /// use headcount_tower::{Credentials, HttpMetrics, MetricsEndpoint};
    ///
    /// let endpoint = MetricsEndpoint::from_environment()?.credentials(Credentials::bearer("s3cret"));
    /// let app: axum::Router =
    ///     axum::Router::new().route_service("/metrics", endpoint).layer(HttpMetrics::new());
    /// # let _ = app;
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    MetricsEndpoint
}

impl MetricsEndpoint {
    /// Answers a request.
    #[must_use]
    pub fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let sent = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let accept = request.headers().get_all(header::ACCEPT).into_iter();
        let accept = accept.filter_map(|line| line.to_str().ok());
        let Reply { status, header, body } = self.reply(request.method().as_str(), sent, accept);
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        let (name, value) = header;
        let value = HeaderValue::from_str(&value).ok();
        response.headers_mut().extend(value.map(|value| (HeaderName::from_static(name), value)));
        response
    }
}

impl<B> Service<Request<B>> for MetricsEndpoint {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.respond(&request)))
    }
}
