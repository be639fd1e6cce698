//! One request on a connection of its own. Pushes are rare, and a connection that is kept is one that breaks.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::url::Url;

/// What is read of a refusal.
const MAX_ANSWER: usize = 4096;

/// What was to be pushed has not arrived, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
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
    },
}

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) method: Method,
    /// Behind the path that the receiver's address has.
    pub(crate) path: &'a str,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: Vec<u8>,
}

/// Sends a message and waits for so long until it has been taken.
pub(crate) async fn send(url: &Url, message: Message<'_>, timeout: Duration) -> Result<(), PushError> {
    tokio::time::timeout(timeout, exchange(url, message)).await.unwrap_or(Err(PushError::Late(timeout)))
}

async fn exchange(url: &Url, message: Message<'_>) -> Result<(), PushError> {
    let Message { method, path, content_type, body } = message;
    let stream = TcpStream::connect(url.place()).await.map_err(PushError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(PushError::Broken)?;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = invalid(format!("{}{path}", url.path()).parse())?;
    request.headers_mut().insert(HOST, invalid(url.host().parse())?);
    if let Some(content_type) = content_type {
        request.headers_mut().insert(CONTENT_TYPE, invalid(content_type.parse())?);
    }
    let answered = async {
        let answer = sender.send_request(request).await.map_err(PushError::Broken)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let reason = String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned();
        Err(PushError::Refused { status, reason })
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

fn invalid<T, E: Into<hyper::http::Error>>(parsed: Result<T, E>) -> Result<T, PushError> {
    let failed =
        |error: E| io::Error::new(io::ErrorKind::InvalidInput, Into::<hyper::http::Error>::into(error));
    parsed.map_err(|error| PushError::Connect(failed(error)))
}
