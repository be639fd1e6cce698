//! Bringing answers to sockets, until told to stop.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::converse::converse;
use super::push::{Push, Pushes};
use super::respond::Responder;
use super::rounds::Rounds;
use super::textfile::Textfile;
use super::tidy::tidy_for_ever;
use super::web::{Gate, WebConfigError};
use super::{Scraper, WebOptions};
use crate::address::Address;
use crate::sockets::Listener;

/// Beyond so many connections, further ones wait to be accepted.
const CONNECTIONS: usize = 512;
/// Scrapes that have begun have so long to end when the exporter stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// After accept has failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The exporter could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system does not let it.
    #[error("cannot serve metrics")]
    System(#[from] io::Error),
    /// It is not clear to whom.
    #[error(transparent)]
    Config(#[from] WebConfigError),
}

/// Serves on all listeners, writes a file if there is one to write, and pushes if that is wanted, until this
/// process gets `SIGTERM` or `SIGINT`; then lets running scrapes end.
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
    textfile: Option<&Textfile>,
    push: Push,
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let gate = Gate::new(options.config.as_deref())?;
    runtime.block_on(serve(listeners, scraper, options, gate, textfile, push))?;
    // A scrape that hangs in the file system must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

async fn serve(
    listeners: &[Listener],
    scraper: Scraper,
    options: &WebOptions,
    gate: Gate,
    textfile: Option<&Textfile>,
    push: Push,
) -> io::Result<()> {
    let scraper = Arc::new(Mutex::new(scraper));
    let gate = Arc::new(gate);
    let rounds = Rounds::new(Arc::clone(&scraper));
    let responder = Arc::new(Responder::new(options.clone(), Arc::clone(&gate), rounds));
    let graceful = Arc::new(GracefulShutdown::new());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let socket = Socket::new(&listener.address, listener.duplicate()?)?;
        let (responder, gate, graceful) = (Arc::clone(&responder), Arc::clone(&gate), Arc::clone(&graceful));
        let server = Server { responder, gate, graceful };
        accepting.spawn(server.accept_all(socket, Arc::clone(&places)));
    }
    let mut pushes = Pushes::begin(push, &scraper);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = tidy_for_ever(&scraper) => {}
        () = pushes.push_for_ever() => {}
        Some(()) = write(textfile) => {}
    }
    accepting.shutdown().await;
    pushes.end().await;
    if let Some(graceful) = Arc::into_inner(graceful) {
        // Whoever has not got an answer by then does not get one.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
    }
    Ok(())
}

/// Never returns if there is a file to write.
async fn write(textfile: Option<&Textfile>) -> Option<()> {
    textfile?.write_for_ever().await;
    Some(())
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
    gate: Arc<Gate>,
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
        let (responder, gate, watcher) =
            (Arc::clone(&self.responder), Arc::clone(&self.gate), self.graceful.watcher());
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &gate, responder, watcher).await {
                tracing::debug!(error = %crate::chain(&*error), "a connection ended early");
            }
            drop(place);
        });
    }
}
