//! Which answer is asked for.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use headcount_merge::{Escaping, Exposition, Format};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{Method, Request, Response, StatusCode};

use super::{Scraper, negotiate, query};

/// A body below this length in bytes is sent as it is: it fits one packet anyway.
const COMPRESS_FROM: usize = 1400;

/// The metrics for people and their scripts.
const JSON: &str = "/api/v1/metrics";

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

const LANDING_PAGE: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Headcount</title>\n",
    "<h1>Headcount</h1>\n<p>Version ",
    env!("CARGO_PKG_VERSION"),
    "</p>\n<ul>\n<li><a href=\"/metrics\">Metrics</a></li>\n<li><a href=\"/api/v1/metrics\">Metrics as \
     JSON</a></li>\n<li><a href=\"/-/healthy\">Healthy</a></li>\n",
    "<li><a href=\"/-/ready\">Ready</a></li>\n</ul>\n</html>\n"
);

/// Answers one request.
pub(super) async fn respond<B>(request: Request<B>, scraper: Arc<Mutex<Scraper>>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/" | "/metrics" | JSON | "/-/healthy" | "/-/ready") {
        return plain(StatusCode::NOT_FOUND, "There is nothing here. The metrics are at /metrics.\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed here.\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => metrics(scraper, negotiate::format(request.headers()), &request).await,
        JSON => metrics(scraper, (Format::Json, Escaping::default()), &request).await,
        "/-/healthy" => plain(StatusCode::OK, "Headcount is healthy.\n"),
        "/-/ready" => ready(scraper).await,
        _ => page(StatusCode::OK, HTML, LANDING_PAGE),
    }
}

async fn metrics<B>(
    scraper: Arc<Mutex<Scraper>>,
    (format, escaping): (Format, Escaping),
    request: &Request<B>,
) -> Response<Full<Bytes>> {
    let names = query::values(request.uri().query().unwrap_or_default(), "name[]");
    let gzip = negotiate::accepts_gzip(request.headers());
    let scrape = move || {
        let exposition = Exposition { format, escaping, names: &names };
        let body = scraper.lock().unwrap_or_else(PoisonError::into_inner).scrape(&exposition)?;
        let content_type = exposition.content_type();
        let compressed = gzip && body.len() >= COMPRESS_FROM;
        Ok((if compressed { compress(&body)? } else { body }, compressed, content_type))
    };
    let scraped = tokio::task::spawn_blocking(scrape).await;
    let (body, compressed, content_type) = match scraped {
        Ok(Ok(scraped)) => scraped,
        Ok(Err(error)) => return failed(&error),
        Err(panicked) => return failed(&std::io::Error::other(panicked)),
    };
    let mut response = Response::new(Full::from(body));
    let headers = response.headers_mut();
    headers.extend(HeaderValue::try_from(content_type).map(|value| (CONTENT_TYPE, value)));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn failed(error: &std::io::Error) -> Response<Full<Bytes>> {
    tracing::error!(error = %crate::chain(error), "cannot read the metrics directory");
    let message = format!("The metrics directory cannot be read: {}.\n", crate::chain(error));
    page(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, message)
}

async fn ready(scraper: Arc<Mutex<Scraper>>) -> Response<Full<Bytes>> {
    let is_ready = move || scraper.lock().unwrap_or_else(PoisonError::into_inner).is_ready();
    match tokio::task::spawn_blocking(is_ready).await {
        Ok(true) => plain(StatusCode::OK, "Headcount is ready.\n"),
        _ => plain(StatusCode::SERVICE_UNAVAILABLE, "No worker is ready.\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    page(status, PLAIN, text)
}

fn page(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headcount_store::directory::Directory;
    use http_body_util::BodyExt;
    use hyper::header::ACCEPT_ENCODING;
    use hyper::header::HeaderMap;

    fn answer(method: &str, path: &str, encoding: &str) -> (StatusCode, HeaderMap, Bytes) {
        let temporary = tempfile::tempdir().unwrap();
        let scraper = Scraper::reader(Directory::open(temporary.path()).unwrap());
        let request =
            Request::builder().method(method).uri(path).header(ACCEPT_ENCODING, encoding).body(()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (parts, body) = respond(request, Arc::new(Mutex::new(scraper))).await.into_parts();
            (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
        })
    }

    #[test]
    fn what_is_not_there_is_told_from_what_must_not_be_done() {
        assert_eq!(answer("GET", "/nothing", "").0, StatusCode::NOT_FOUND);
        assert_eq!(answer("POST", "/nothing", "").0, StatusCode::NOT_FOUND);
        let (status, headers, _) = answer("POST", "/metrics", "");
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers[ALLOW], "GET, HEAD");
        for path in ["/", "/metrics", JSON, "/-/healthy", "/-/ready"] {
            assert_eq!(answer("GET", path, "").0, StatusCode::OK, "{path}");
        }
    }

    #[test]
    fn metrics_are_compressed_for_those_who_accept_it() {
        let (_, headers, plain) = answer("GET", "/metrics", "identity");
        assert_eq!(headers[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
        assert_eq!(headers[VARY], "Accept, Accept-Encoding");
        assert_eq!(headers.get(CONTENT_ENCODING), None);
        let (_, headers, compressed) = answer("GET", "/metrics", "gzip");
        assert_eq!(headers[CONTENT_ENCODING], "gzip");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*compressed), &mut text).unwrap();
        assert!(text.contains("headcount_build_info"));
        assert!(plain.starts_with(b"# HELP"));
    }
}
