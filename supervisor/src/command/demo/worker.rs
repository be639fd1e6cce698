//! A worker of the demonstration: what an application looks like.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use headcount::worker::Worker;
use headcount::{Buckets, Counter, Family, Gauge, GaugeMode, Histogram};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use super::super::Done;
use super::{TARGET, traffic};

static REQUESTS: LazyLock<Family<Counter, 2>> = LazyLock::new(|| {
    let family = Counter::family("http_requests", "Requests answered.", ["route", "code"]);
    family.expect("the demonstration's own metrics are well-formed")
});
static LATENCY: LazyLock<Family<Histogram, 1>> = LazyLock::new(|| {
    let help = "Seconds from a request to its answer.";
    let family = Histogram::family("http_request_duration_seconds", help, Buckets::default(), ["route"]);
    family.expect("the demonstration's own metrics are well-formed")
});
static IN_FLIGHT: LazyLock<Gauge> = LazyLock::new(|| {
    let gauge = Gauge::new("http_requests_in_flight", "Requests being answered.", GaugeMode::LiveSum);
    gauge.expect("the demonstration's own metrics are well-formed")
});

/// Requests that were accepted have so long to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// Serves the socket that the supervisor has passed, until it says to stop.
pub(crate) fn work() -> Done {
    let mut worker = Worker::from_environment()?;
    let Some(listener) = worker.take_tcp_listener("http") else {
        return Err(io::Error::other("this is a worker of `headcount demo`, which starts it").into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(&worker, listener))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(worker: &Worker, listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let mut term = signal(SignalKind::terminate())?;
    let graceful = GracefulShutdown::new();
    IN_FLIGHT.set(0.0);
    if let Some(target) = std::env::var(TARGET).ok().and_then(|target| target.parse::<SocketAddr>().ok()) {
        tokio::spawn(traffic::send(target, worker.slot().unwrap_or(0)));
    }
    worker.ready()?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => answer_all(stream, &graceful),
                Err(error) => tracing::warn!(%error, "cannot accept a connection"),
            },
        }
    }
    drop(listener);
    // Whoever has not got an answer by then does not get one.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
    Ok(())
}

fn answer_all(stream: TcpStream, graceful: &GracefulShutdown) {
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        // A client that goes away is no concern of a demonstration.
        let _ = pin!(watched).await;
    });
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (route, pause, status) = match request.uri().path() {
        "/" => ("/", Duration::ZERO, StatusCode::OK),
        "/slow" => ("/slow", Duration::from_millis(80), StatusCode::OK),
        "/broken" => ("/broken", Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR),
        _ => ("unmatched", Duration::ZERO, StatusCode::NOT_FOUND),
    };
    IN_FLIGHT.inc();
    let timer = LATENCY.with([route]).start_timer();
    tokio::time::sleep(pause).await;
    timer.observe_duration();
    IN_FLIGHT.dec();
    REQUESTS.with([route, status.as_str()]).inc();
    let mut response = Response::new(Full::from(format!("{route} from process {}\n", std::process::id())));
    *response.status_mut() = status;
    response
}
