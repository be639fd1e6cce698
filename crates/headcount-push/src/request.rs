//! One request on a connection of its own. Pushes are rare, and a connection that is kept is one that breaks.

use std::error::Error;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::credentials::{Credentials, CredentialsError, Read};
use crate::url::Url;

/// What is read of an answer.
const MAX_ANSWER: usize = 4096;

/// What was to be pushed has not arrived, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It is not known whom to believe, or what to say.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The receiver could not be reached.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// It has not answered in time.
    #[error("no answer for {} s", .0.as_secs_f64())]
    Late(Duration),
    /// The receiver has said why not.
    #[error("refused with {status}: {reason}")]
    Refused {
        /// The status code.
        status: StatusCode,
        /// The first line of the answer.
        reason: String,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
}

impl PushError {
    /// Whether the same may be taken another time.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status.as_u16(), 429 | 502..=504),
            // Files are replaced.
            Self::Credentials(_) | Self::Connect(_) | Self::Broken(_) | Self::Late(_) => true,
        }
    }

    /// How long the receiver wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) method: Method,
    /// Behind the path that the receiver's address has.
    pub(crate) path: &'a str,
    pub(crate) content_type: Option<&'a str>,
    /// Beside those that every request has.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// Sends a message and waits for so long until it has been taken, and for what is said to that.
pub(crate) async fn send(
    to: (&Url, &Credentials),
    message: Message<'_>,
    timeout: Duration,
) -> Result<Bytes, PushError> {
    let sent = tokio::time::timeout(timeout, connect(to, message)).await;
    sent.unwrap_or(Err(PushError::Late(timeout)))
}

async fn connect(
    (url, credentials): (&Url, &Credentials),
    mut message: Message<'_>,
) -> Result<Bytes, PushError> {
    let (files, encrypted) = (credentials.clone(), url.is_encrypted());
    let read = tokio::task::spawn_blocking(move || files.read(encrypted)).await;
    let Read { tls, headers } = read.map_err(|panicked| PushError::Connect(io::Error::other(panicked)))??;
    message.headers.extend(headers);
    let (host, port) = url.place();
    let stream = TcpStream::connect((host, port)).await.map_err(PushError::Connect)?;
    let Some(config) = tls else { return exchange(url, stream, message).await };
    let name = invalid(ServerName::try_from(host.to_owned()))?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(PushError::Connect)?;
    exchange(url, stream, message).await
}

async fn exchange<S>(url: &Url, stream: S, message: Message<'_>) -> Result<Bytes, PushError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Message { method, path, content_type, headers, body } = message;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(PushError::Broken)?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = invalid(format!("{}{path}", url.path()).parse())?;
    request.headers_mut().insert(HOST, invalid(url.host().parse())?);
    if let Some(content_type) = content_type {
        request.headers_mut().insert(CONTENT_TYPE, invalid(content_type.parse())?);
    }
    request.headers_mut().extend(headers);
    let answered = async {
        let answer = sender.send_request(request).await.map_err(PushError::Broken)?;
        let status = answer.status();
        let retry_after = retry_after(answer.headers());
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let reason = String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned();
        Err(PushError::Refused { status, reason, retry_after })
    };
    let mut answered = std::pin::pin!(answered);
    // The connection is driven by this very task: when it is given up, so is the connection.
    tokio::select! {
        biased;
        answer = &mut answered => answer,
        ended = connection => {
            ended.map_err(PushError::Broken)?;
            answered.await
        }
    }
}

/// Only the form in seconds: few receivers send a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn invalid<T, E: Error + Send + Sync + 'static>(parsed: Result<T, E>) -> Result<T, PushError> {
    parsed.map_err(|error| PushError::Connect(io::Error::new(io::ErrorKind::InvalidInput, error)))
}
