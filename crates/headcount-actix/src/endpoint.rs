//! The endpoint: the metrics of all processes, as a handler.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use headcount_http::Reply;

headcount_http::metrics_endpoint! {
    /// Answers with the metrics: the merge of all processes where there is a metrics directory, else this process's
    /// own. It reads the files where it is called, which takes about a millisecond.
    MetricsEndpoint
}

impl MetricsEndpoint {
    /// Answers a request.
    #[must_use]
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let sent = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let accept = request.headers().get_all(header::ACCEPT).filter_map(|line| line.to_str().ok());
        let Reply { status, header, body } = self.reply(request.method().as_str(), sent, accept);
        let header = (header.0, &*header.1);
        HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default()).insert_header(header).body(body)
    }
}
