//! Which answer is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headcount_merge::{Exposition, Format};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};

use super::body::Body;
use super::coding::Coding;
use super::rounds::{Exposed, Rounds, Wanted};
use super::web::{Gate, Verdict};
use super::{WebOptions, negotiate, page, query};

/// The metrics for people and their scripts.
pub(super) const JSON: &str = "/api/v1/metrics";

/// What answers requests.
#[derive(Debug)]
pub(super) struct Responder {
    options: WebOptions,
    gate: Arc<Gate>,
    rounds: Arc<Rounds>,
    /// How many scrapes wait for their answers.
    in_flight: AtomicUsize,
}

/// What a path stands for.
#[derive(Clone, Copy)]
enum Page {
    Metrics,
    Json,
    Healthy,
    Ready,
    Landing,
}

impl Responder {
    pub(super) fn new(options: WebOptions, gate: Arc<Gate>, rounds: Rounds) -> Self {
        Self { options, gate, rounds: Arc::new(rounds), in_flight: AtomicUsize::new(0) }
    }

    /// Answers one request, if the client may ask.
    pub(super) async fn respond<B>(&self, request: Request<B>) -> Response<Body> {
        let Ok(config) = self.gate.current() else {
            return page::plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The web configuration is wrong; the log says how.\n",
            );
        };
        let mut response = match config.judge(request.headers()).await {
            Verdict::Welcome => self.answer(request).await,
            Verdict::TooOften => page::plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests.\n"),
            Verdict::Busy => page::plain(StatusCode::SERVICE_UNAVAILABLE, "Too many passwords to check.\n"),
            Verdict::Unknown => {
                let mut refusal = page::plain(StatusCode::UNAUTHORIZED, "Unauthorized\n");
                refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
                refusal
            }
        };
        response.headers_mut().extend(config.headers());
        response
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<Body> {
        let metrics = self.options.telemetry_path.as_str();
        let found = match request.uri().path() {
            path if path == metrics => Page::Metrics,
            JSON => Page::Json,
            "/-/healthy" => Page::Healthy,
            "/-/ready" => Page::Ready,
            "/" => Page::Landing,
            _ => {
                let message = format!("There is nothing here. The metrics are at {metrics}.\n");
                return page::plain(StatusCode::NOT_FOUND, message);
            }
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response =
                page::plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed here.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match found {
            Page::Metrics => self.scrape(&negotiate::exposition(request.headers()), &request).await,
            Page::Json => self.scrape(&Exposition::new(Format::Json), &request).await,
            Page::Healthy => page::plain(StatusCode::OK, "Headcount is healthy.\n"),
            Page::Ready => self.ready().await,
            Page::Landing => page::landing(metrics),
        }
    }

    async fn scrape<B>(&self, exposition: &Exposition<'_>, request: &Request<B>) -> Response<Body> {
        let Some(_place) = Place::take(&self.in_flight, self.options.max_requests) else {
            return page::plain(StatusCode::SERVICE_UNAVAILABLE, "Too many scrapes at the same time.\n");
        };
        let names = query::values(request.uri().query().unwrap_or_default(), "name[]");
        let coding = negotiate::coding(request.headers());
        let created_samples = self.options.created_samples;
        let &Exposition { format, escaping, .. } = exposition;
        let wanted = Wanted { format, escaping, names, created_samples, coding };
        let content_type = wanted.exposition().content_type();
        let joined = self.rounds.join(wanted);
        let scraped = match negotiate::timeout(request.headers()) {
            None => joined.await,
            Some(time) => match tokio::time::timeout(time, joined).await {
                Ok(scraped) => scraped,
                Err(_) => {
                    tracing::warn!(?time, "a scrape has taken longer than the scraper waits");
                    return page::plain(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "It takes longer than you would wait.\n",
                    );
                }
            },
        };
        let Exposed { body, coding } = match scraped {
            Ok(exposed) => exposed,
            Err(error) => return page::failed(&error),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.extend(HeaderValue::try_from(content_type).map(|value| (CONTENT_TYPE, value)));
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if coding != Coding::Identity {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        }
        response
    }

    async fn ready(&self) -> Response<Body> {
        let rounds = Arc::clone(&self.rounds);
        match tokio::task::spawn_blocking(move || rounds.is_ready()).await {
            Ok(true) => page::plain(StatusCode::OK, "Headcount is ready.\n"),
            _ => page::plain(StatusCode::SERVICE_UNAVAILABLE, "No worker is ready.\n"),
        }
    }
}

/// One of the scrapes that may be answered at the same time.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize, most: Option<usize>) -> Option<Self> {
        let place = Self(taken);
        let before = taken.fetch_add(1, Ordering::Relaxed);
        most.is_none_or(|most| before < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[expect(clippy::await_holding_lock, reason = "gathers are held up for as long as a test wants")]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use crate::cli::WebArgs;
    use crate::exporter::Scraper;
    use headcount_store::directory::Directory;
    use hyper::body::Bytes;
    use hyper::header::{ACCEPT_ENCODING, HeaderMap};

    /// What answers for an empty directory, and the lock that gathers need.
    fn responder(max_requests: usize) -> (Responder, Arc<Mutex<Scraper>>) {
        let temporary = tempfile::tempdir().unwrap();
        let scraper = Arc::new(Mutex::new(Scraper::reader(Directory::open(temporary.path()).unwrap())));
        let telemetry_path = "/m".parse().unwrap();
        let args = WebArgs {
            systemd_socket: false,
            telemetry_path,
            max_requests,
            config: None,
            created_samples: false,
        };
        let gate = Arc::new(Gate::new(None).unwrap());
        (Responder::new(args.into(), gate, Rounds::new(Arc::clone(&scraper))), scraper)
    }

    fn block_on<T>(run: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run)
    }

    async fn ask(
        responder: &Responder,
        method: &str,
        path: &str,
        header: (&str, &str),
    ) -> (StatusCode, HeaderMap, Bytes) {
        let (status, headers, body) = ask_for_body(responder, method, path, header).await;
        (status, headers, read(body))
    }

    async fn ask_for_body(
        responder: &Responder,
        method: &str,
        path: &str,
        (name, value): (&str, &str),
    ) -> (StatusCode, HeaderMap, Body) {
        let request = Request::builder().method(method).uri(path).header(name, value).body(()).unwrap();
        let (parts, body) = responder.respond(request).await.into_parts();
        (parts.status, parts.headers, body)
    }

    fn read(mut body: Body) -> Bytes {
        std::iter::from_fn(|| body.next_piece(usize::MAX)).collect::<Vec<_>>().concat().into()
    }

    fn answer(method: &str, path: &str, encoding: &str) -> (StatusCode, HeaderMap, Bytes) {
        block_on(ask(&responder(0).0, method, path, (ACCEPT_ENCODING.as_str(), encoding)))
    }

    #[test]
    fn what_is_not_there_is_told_from_what_must_not_be_done() {
        let (status, _, said) = answer("GET", "/metrics", "");
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(said, "There is nothing here. The metrics are at /m.\n");
        assert_eq!(answer("POST", "/nothing", "").0, StatusCode::NOT_FOUND);
        let (status, headers, _) = answer("POST", "/m", "");
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers[ALLOW], "GET, HEAD");
        for path in ["/", "/m", JSON, "/-/healthy", "/-/ready"] {
            assert_eq!(answer("GET", path, "").0, StatusCode::OK, "{path}");
        }
    }

    #[test]
    fn metrics_are_compressed_for_those_who_accept_it() {
        let (_, headers, plain) = answer("GET", "/m", "identity");
        assert_eq!(headers[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
        assert_eq!(headers[VARY], "Accept, Accept-Encoding");
        assert_eq!(headers.get(CONTENT_ENCODING), None);
        let (_, headers, compressed) = answer("GET", "/m", "gzip");
        assert_eq!(headers[CONTENT_ENCODING], "gzip");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*compressed), &mut text).unwrap();
        assert!(text.contains("headcount_build_info"));
        let (_, headers, compressed) = answer("GET", "/m", "zstd");
        assert_eq!(headers[CONTENT_ENCODING], "zstd");
        let mut text = Vec::with_capacity(1 << 20);
        zstd_safe::decompress(&mut text, &compressed).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("headcount_build_info"));
        assert!(plain.starts_with(b"# HELP"));
    }

    #[test]
    fn scrapes_that_wait_together_get_one_answer() {
        let (responder, scraper) = responder(0);
        let answers = block_on(async {
            let gather = scraper.lock().unwrap();
            let mut asked: Vec<_> = (0..50)
                .map(|number| {
                    let accept = if number % 2 == 0 { "text/plain" } else { "application/openmetrics-text" };
                    Box::pin(ask_for_body(&responder, "GET", "/m", ("accept", accept)))
                })
                .collect();
            for asked in &mut asked {
                assert!(poll_once(asked.as_mut()).await.is_none(), "somebody else gathers");
            }
            drop(gather);
            let mut answers = Vec::new();
            for asked in asked {
                answers.push(asked.await);
            }
            answers
        });
        let bodies = |odd: usize| answers.iter().skip(odd).step_by(2).map(|(_, _, body)| body);
        for odd in [0, 1] {
            // Not only equal, but the same.
            let place = |body: &Body| body.clone().next_piece(usize::MAX).unwrap().as_ptr();
            assert!(bodies(odd).all(|body| place(body) == place(bodies(odd).next().unwrap())));
        }
        let duration = |body: &Body| {
            let text = String::from_utf8_lossy(&read(body.clone())).into_owned();
            text.lines()
                .find(|line| line.starts_with("headcount_gather_duration_seconds "))
                .unwrap()
                .to_owned()
        };
        assert_eq!(duration(&answers[0].2), duration(&answers[1].2), "of one gather");
    }

    /// Polls once.
    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[test]
    fn whoever_would_not_wait_so_long_is_told_in_time() {
        let (responder, scraper) = responder(0);
        block_on(async {
            let gather = scraper.lock().unwrap();
            let timeout = ("X-Prometheus-Scrape-Timeout-Seconds", "0.05");
            let (status, _, said) = ask(&responder, "GET", "/m", timeout).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(said, "It takes longer than you would wait.\n");
            drop(gather);
            let patient = ("X-Prometheus-Scrape-Timeout-Seconds", "60");
            assert_eq!(ask(&responder, "GET", "/m", patient).await.0, StatusCode::OK);
        });
    }

    #[test]
    fn too_many_scrapes_at_the_same_time_are_refused() {
        let (responder, scraper) = responder(2);
        block_on(async {
            let gather = scraper.lock().unwrap();
            let ask = || Box::pin(ask(&responder, "GET", "/m", ("accept", "*/*")));
            let (mut first, mut second) = (ask(), ask());
            assert!(poll_once(first.as_mut()).await.is_none());
            assert!(poll_once(second.as_mut()).await.is_none());
            assert_eq!(ask().await.0, StatusCode::SERVICE_UNAVAILABLE);
            // Whoever goes makes room.
            drop(first);
            let mut third = ask();
            assert!(poll_once(third.as_mut()).await.is_none());
            drop(gather);
            assert_eq!((second.await.0, third.await.0), (StatusCode::OK, StatusCode::OK));
        });
    }
}
