//! Bringing answers to sockets, until told to stop.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::Scraper;
use super::push::{Push, Pushes};
use super::respond::respond;
use super::tidy::tidy_for_ever;
use crate::address::Address;
use crate::sockets::Listener;

/// A client that has not sent its request by then is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapes that have begun have so long to end when the exporter stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// After accept has failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The exporter could not serve.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics")]
pub struct ServeError(#[from] io::Error);

/// Serves on all listeners, and pushes if that is wanted, until this process gets `SIGTERM` or `SIGINT`, then lets
/// running scrapes end.
///
/// Starts a runtime, so this is for a process that forks no more.
///
/// # Errors
///
/// When no runtime can be started, or a socket is not what it should be.
pub fn serve_until_told(listeners: &[Listener], scraper: Scraper, push: Push) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(listeners, scraper, push))?;
    // A scrape that hangs in the file system must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

async fn serve(listeners: &[Listener], scraper: Scraper, push: Push) -> io::Result<()> {
    let is_owner = scraper.is_owner();
    let scraper = Arc::new(Mutex::new(scraper));
    let graceful = Arc::new(GracefulShutdown::new());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let socket = Socket::new(&listener.address, listener.duplicate()?)?;
        accepting.spawn(accept_all(socket, Arc::clone(&scraper), Arc::clone(&graceful)));
    }
    let mut pushes = Pushes::begin(push, &scraper);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = tidy_for_ever(&scraper), if is_owner => {}
        () = pushes.push_for_ever() => {}
    }
    accepting.shutdown().await;
    pushes.end().await;
    if let Some(graceful) = Arc::into_inner(graceful) {
        // Whoever has not got an answer by then does not get one.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
    }
    Ok(())
}

/// A listening socket in the runtime's hands.
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    fn new(address: &Address, socket: OwnedFd) -> io::Result<Self> {
        match address {
            Address::Tcp(_) => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
            Address::Unix(_) | Address::Abstract(_) => {
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }
}

async fn accept_all(socket: Socket, scraper: Arc<Mutex<Scraper>>, graceful: Arc<GracefulShutdown>) {
    loop {
        let accepted = match &socket {
            Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                // An answer is written at once; waiting to fill packets only delays its end.
                let _ = stream.set_nodelay(true);
                answer(stream, &scraper, &graceful);
            }),
            Socket::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| answer(stream, &scraper, &graceful))
            }
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Answers a client's requests in a task of their own.
fn answer<S>(stream: S, scraper: &Arc<Mutex<Scraper>>, graceful: &GracefulShutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let scraper = Arc::clone(scraper);
    let service = service_fn(move |request| {
        let scraper = Arc::clone(&scraper);
        async move { Ok::<_, Infallible>(respond(request, scraper).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = pin!(watched).await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}
