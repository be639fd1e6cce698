//! The endpoint: the metrics of all processes, as a service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use headcount_http::{CONTENT_TYPE, Credentials, Exposition, Reply};
use headcount_store::directory::OpenError;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

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
#[derive(Clone, Debug)]
pub struct MetricsEndpoint {
    exposition: Arc<Exposition>,
    credentials: Option<Credentials>,
}

impl MetricsEndpoint {
    /// The merge of the directory that `PROMETHEUS_MULTIPROC_DIR` names; without it, this process's own metrics.
    ///
    /// # Errors
    ///
    /// When the directory cannot be opened.
    pub fn from_environment() -> Result<Self, OpenError> {
        Ok(Self::new(Exposition::from_environment()?))
    }

    /// Serves these.
    #[must_use]
    pub fn new(exposition: Exposition) -> Self {
        Self { exposition: Arc::new(exposition), credentials: None }
    }

    /// Answers only those who send these. Any layer that authenticates will do as well.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The metrics and their content type, for those who serve them themselves.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn render(&self) -> io::Result<(Vec<u8>, &'static str)> {
        Ok((self.exposition.render()?, CONTENT_TYPE))
    }

    /// Answers a request.
    #[must_use]
    pub fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let sent = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let credentials = self.credentials.as_ref();
        let Reply { status, header, body } =
            Reply::new(&self.exposition, credentials, request.method().as_str(), sent);
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        let (name, value) = header;
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
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
