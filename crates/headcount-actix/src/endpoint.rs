//! The endpoint: the metrics of all processes, as a handler.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use headcount_http::{CONTENT_TYPE, Credentials, Exposition};
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

    /// Answers a request.
    #[must_use]
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        if let Some(credentials) = &self.credentials {
            let sent = request.headers().get(header::AUTHORIZATION);
            if !credentials.admit(sent.map(header::HeaderValue::as_bytes)) {
                let challenge = (header::WWW_AUTHENTICATE, credentials.challenge());
                return HttpResponse::Unauthorized().insert_header(challenge).finish();
            }
        }
        match self.exposition.render() {
            Ok(text) => HttpResponse::Ok().insert_header((header::CONTENT_TYPE, CONTENT_TYPE)).body(text),
            Err(error) => HttpResponse::InternalServerError()
                .body(format!("The metrics directory cannot be read: {error}.\n")),
        }
    }
}
