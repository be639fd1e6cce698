//! Bringing answers to sockets, until told to stop.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::patience::{Patience, Patient};
use super::respond::Responder;
use super::rounds::Rounds;
use super::tidy::tidy_for_ever;
use super::{Scraper, WebOptions};
use crate::address::Address;
use crate::sockets::Listener;

/// Scrapers come every minute or more often, and keep their connections.
const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(180),
    write: Duration::from_secs(30),
};
/// A request's line and headers may have so many bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Beyond so many connections, further ones wait to be accepted.
const CONNECTIONS: usize = 512;
/// Scrapes that have begun have so long to end when the exporter stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// After accept has failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The exporter could not serve.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics")]
pub struct ServeError(#[from] io::Error);

/// Serves on all listeners until this process gets `SIGTERM` or `SIGINT`, then lets running scrapes end.
///
/// Starts a runtime, so this is for a process that forks no more.
///
/// # Errors
///
/// When no runtime can be started, or a socket is not what it should be.
pub fn serve_until_told(
    listeners: &[Listener],
    scraper: Scraper,
    options: &WebOptions,
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(listeners, scraper, options))?;
    // A scrape that hangs in the file system must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

async fn serve(listeners: &[Listener], scraper: Scraper, options: &WebOptions) -> io::Result<()> {
    let is_owner = scraper.is_owner();
    let scraper = Arc::new(Mutex::new(scraper));
    let responder = Arc::new(Responder::new(options.clone(), Rounds::new(Arc::clone(&scraper))));
    let graceful = Arc::new(GracefulShutdown::new());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let socket = Socket::new(&listener.address, listener.duplicate()?)?;
        let server = Server { responder: Arc::clone(&responder), graceful: Arc::clone(&graceful) };
        accepting.spawn(server.accept_all(socket, Arc::clone(&places)));
    }
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = tidy_for_ever(&scraper), if is_owner => {}
    }
    accepting.shutdown().await;
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

/// What each connection gets.
struct Server {
    responder: Arc<Responder>,
    graceful: Arc<GracefulShutdown>,
}

impl Server {
    async fn accept_all(self, socket: Socket, places: Arc<Semaphore>) {
        loop {
            // Nobody closes it.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = match &socket {
                Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    // An answer is written at once; waiting to fill packets only delays its end.
                    let _ = stream.set_nodelay(true);
                    self.answer(stream, place);
                }),
                Socket::Unix(listener) => {
                    listener.accept().await.map(|(stream, _)| self.answer(stream, place))
                }
            };
            if let Err(error) = accepted {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Answers a client's requests in a task of their own.
    fn answer<S>(&self, stream: S, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, busy) = Patient::new(stream, PATIENCE);
        let responder = Arc::clone(&self.responder);
        let service = service_fn(move |request| {
            busy.begin();
            let responder = Arc::clone(&responder);
            async move { Ok::<_, Infallible>(responder.respond(request).await) }
        });
        let connection = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service);
        let watched = self.graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = pin!(watched).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
}
