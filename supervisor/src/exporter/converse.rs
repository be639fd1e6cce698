//! A client's connection: encrypted or not, HTTP/1.1 or HTTP/2, until the client goes or is to go.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::{GracefulConnection, Watcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::patience::{Busy, Patience, Patient};
use super::respond::Responder;
use super::streams::{self, Streams};
use super::web::{Gate, HTTP_2};

/// Scrapers come every minute or more often, and keep their connections.
const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(180),
    write: Duration::from_secs(30),
};
/// A request's line and headers may have so many bytes.
const HEAD_BYTES: u16 = 16 * 1024;
/// What a client may send unasked in HTTP/2: nobody reads the body of a request.
const WINDOW: u32 = 64 * 1024 - 1;
/// With this byte begins whoever speaks TLS …
const HANDSHAKE: u8 = 0x16;
/// … and whoever does not is told so in plain text.
const PLAIN_TEXT: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThis is an HTTPS server.\n";
/// A client that has connected asks for something within so long, or is one that keeps its connection.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

pub(super) type Ended<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Answers a client's requests.
pub(super) async fn converse<S>(
    stream: S,
    gate: &Gate,
    responder: Arc<Responder>,
    watcher: Watcher,
) -> Ended<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, busy) = Patient::new(stream, PATIENCE);
    if !gate.has_tls() {
        return one_by_one(stream, busy, responder, watcher).await;
    }
    let mut stream = encrypt(stream, gate).await?;
    let (patient, session) = stream.get_mut();
    if session.alpn_protocol() == Some(HTTP_2) {
        patient.read_for_ever();
        at_once(stream, responder, watcher).await
    } else {
        one_by_one(stream, busy, responder, watcher).await
    }
}

/// One request after another, as in HTTP/1.1.
async fn one_by_one<S>(stream: S, busy: Busy, responder: Arc<Responder>, watcher: Watcher) -> Ended<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asked = Arc::new(Notify::new());
    let has_asked = Arc::clone(&asked);
    let service = service_fn(move |request| {
        busy.begin();
        has_asked.notify_one();
        let responder = Arc::clone(&responder);
        async move { Ok::<_, Infallible>(responder.respond(request).await) }
    });
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES.into())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    attend(connection, &asked, watcher).await
}

/// Several requests at once, as in HTTP/2.
async fn at_once<S>(stream: S, responder: Arc<Responder>, watcher: Watcher) -> Ended<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streams = Streams::new(PATIENCE);
    let asked = Arc::new(Notify::new());
    let (has_asked, of_streams) = (Arc::clone(&asked), streams.clone());
    let service = service_fn(move |request: hyper::Request<_>| {
        let asked = of_streams.ask();
        has_asked.notify_one();
        let responder = Arc::clone(&responder);
        async move {
            let method = request.method().clone();
            Ok::<_, Infallible>(asked.answer(&method, responder.respond(request).await))
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams::MOST)
        .max_header_list_size(HEAD_BYTES.into())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = attend(connection, &asked, watcher) => ended,
        () = streams.expire() => Err("the client has not gone on in time".into()),
    }
}

/// Brings a connection to its end.
async fn attend<C>(mut connection: C, asked: &Notify, watcher: Watcher) -> Ended<()>
where
    C: GracefulConnection + Unpin,
    C::Error: Error + Send + Sync + 'static,
{
    // Until then it does not hear of a shutdown, which would cut off who is just about to ask.
    tokio::select! {
        ended = &mut connection => return Ok(ended?),
        () = asked.notified() => {}
        () = tokio::time::sleep(FIRST_REQUEST) => {}
    }
    Ok(watcher.watch(connection).await?)
}

/// Agrees with the client on encryption, as the configuration is now.
async fn encrypt<S>(mut stream: Patient<S>, gate: &Gate) -> Ended<TlsStream<Patient<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config =
        gate.current().ok().and_then(|config| config.tls()).ok_or("the web configuration is wrong")?;
    if stream.peek().await? != HANDSHAKE {
        stream.write_all(PLAIN_TEXT).await?;
        stream.shutdown().await?;
        // What was not read when a connection is closed cuts the answer off on its way.
        tokio::io::copy(&mut stream.take(HEAD_BYTES.into()), &mut tokio::io::sink()).await?;
        return Err("an HTTP request to an HTTPS server".into());
    }
    Ok(TlsAcceptor::from(config).accept(stream).await?)
}
