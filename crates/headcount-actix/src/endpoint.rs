//! The endpoint: the metrics of all processes, as a handler.

use std::io;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use headcount_http::{CONTENT_TYPE, Credentials, Exposition, Reply};
use headcount_store::directory::OpenError;

/// Answers with the metrics: the merge of all processes where there is a metrics directory, else this process's
/// own. It reads the files where it is called, which takes about a millisecond.
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

    /// Answers only those who send these. Any middleware that authenticates will do as well.
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
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let sent = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let credentials = self.credentials.as_ref();
        let Reply { status, header, body } =
            Reply::new(&self.exposition, credentials, request.method().as_str(), sent);
        HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default()).insert_header(header).body(body)
    }
}
