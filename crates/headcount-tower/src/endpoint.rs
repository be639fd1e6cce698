//! The endpoint: the metrics of all processes, as a service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use headcount_http::{CONTENT_TYPE, Credentials, Exposition};
use headcount_store::directory::OpenError;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
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
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, header::ALLOW, "GET, HEAD");
        }
        if let Some(credentials) = &self.credentials {
            let sent = request.headers().get(header::AUTHORIZATION);
            if !credentials.admit(sent.map(HeaderValue::as_bytes)) {
                return refuse(StatusCode::UNAUTHORIZED, header::WWW_AUTHENTICATE, credentials.challenge());
            }
        }
        match self.render() {
            Ok((text, kind)) => {
                let mut response = Response::new(Full::from(text));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
            Err(error) => {
                let text = format!("The metrics directory cannot be read: {error}.\n");
                let mut response = Response::new(Full::from(text));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

fn refuse(status: StatusCode, name: header::HeaderName, value: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
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
