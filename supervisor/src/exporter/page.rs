//! Answers in words: what there is at the endpoint, and what went wrong.

use std::borrow::Cow;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::respond::JSON;

/// The page that leads to all others.
pub(super) fn landing(metrics: &str) -> Response<Body> {
    let version = env!("CARGO_PKG_VERSION");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Headcount</title>\n\
         <h1>Headcount</h1>\n<p>Version {version}</p>\n<ul>\n<li><a href=\"{metrics}\">Metrics</a></li>\n\
         <li><a href=\"{JSON}\">Metrics as JSON</a></li>\n<li><a href=\"/-/healthy\">Healthy</a></li>\n\
         <li><a href=\"/-/ready\">Ready</a></li>\n</ul>\n</html>\n"
    );
    answer(StatusCode::OK, "text/html; charset=utf-8", page.into())
}

/// The directory could not be read.
pub(super) fn failed(error: &std::io::Error) -> Response<Body> {
    let why = crate::chain(error);
    tracing::error!(error = %why, "cannot read the metrics directory");
    plain(StatusCode::INTERNAL_SERVER_ERROR, format!("The metrics directory cannot be read: {why}.\n"))
}

/// A sentence.
pub(super) fn plain(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Response<Body> {
    let text = match text.into() {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => text.into(),
    };
    answer(status, "text/plain; charset=utf-8", text)
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
