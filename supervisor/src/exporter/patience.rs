//! How long a client is waited for.
//!
//! A connection waits for the client in three ways, and none of them for ever: for a request that has begun, for
//! the next request, and for the client to take what it has asked for. While an answer is being made, it is the
//! client that waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long each wait may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a request, or of a connection, to the last one of its head.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
    /// From one byte that the client takes to the next.
    pub(super) write: Duration,
}

/// Whether an answer is being made. The connection and whoever makes answers share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    /// A request has come.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection to a client that is not waited for for ever.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Patience,
    busy: Busy,
    /// A byte that was read and is to be read again.
    peeked: Option<u8>,
    /// Whether somebody else knows how long to wait for the client to write.
    reads_for_ever: bool,
    /// Whether the wait is for the first byte of another request.
    is_idle: bool,
    /// Until when something has to be read.
    read_end: Pin<Box<Sleep>>,
    /// Whether the client does not take what is written.
    is_stuck: bool,
    /// Until when it has to.
    write_end: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    /// The stream, and what is to be told when a request has come.
    pub(super) fn new(stream: S, patience: Patience) -> (Self, Busy) {
        let busy = Busy::default();
        let (read_end, write_end) = (Box::pin(sleep(patience.head)), Box::pin(sleep(patience.write)));
        let patient = Self {
            stream,
            patience,
            busy: busy.clone(),
            peeked: None,
            reads_for_ever: false,
            is_idle: false,
            read_end,
            is_stuck: false,
            write_end,
        };
        (patient, busy)
    }

    /// From here on only the client's reading is waited for within bounds.
    pub(super) fn read_for_ever(&mut self) {
        self.reads_for_ever = true;
    }

    fn wrote<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.busy.end();
        self.is_stuck = written.is_pending() && {
            if !self.is_stuck {
                self.write_end.as_mut().reset(Instant::now() + self.patience.write);
            }
            true
        };
        if written.is_pending() {
            return expire(self.write_end.as_mut(), context);
        }
        // It may have been the last of the answer.
        self.is_idle = true;
        self.read_end.as_mut().reset(Instant::now() + self.patience.idle);
        written
    }
}

/// Waits until the time is over.
fn expire<T>(end: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
    end.poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncRead + Unpin> Patient<S> {
    /// The byte that will be read next.
    pub(super) async fn peek(&mut self) -> io::Result<u8> {
        let byte = self.read_u8().await?;
        self.peeked = Some(byte);
        Ok(byte)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(byte) = self.peeked.take()
        {
            buffer.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending if self.busy.is_on() || self.reads_for_ever => Poll::Pending,
            Poll::Pending => expire(self.read_end.as_mut(), context),
            Poll::Ready(read) => {
                if std::mem::take(&mut self.is_idle) {
                    let end = Instant::now() + self.patience.head;
                    self.read_end.as_mut().reset(end);
                }
                Poll::Ready(read)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(30);

    fn check(patience: Patience, run: impl AsyncFnOnce(Patient<DuplexStream>, Busy, DuplexStream)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = duplex(16);
            let (patient, busy) = Patient::new(ours, patience);
            run(patient, busy, theirs).await;
        });
    }

    fn is_timeout<T: std::fmt::Debug>(result: io::Result<T>) {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_request_must_come_to_an_end() {
        let patience = Patience { head: SHORT, idle: LONG, write: LONG };
        check(patience, async |mut ours, _, mut theirs| {
            theirs.write_all(b"GET").await.unwrap();
            assert_eq!(ours.peek().await.unwrap(), b'G');
            let mut read = [0; 3];
            ours.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"GET");
            is_timeout(ours.read_u8().await);
            // Nor does it live longer for each of its bytes.
            theirs.write_all(b" ").await.unwrap();
            assert_eq!(ours.read_u8().await.unwrap(), b' ');
            is_timeout(ours.read_u8().await);
        });
    }

    #[test]
    fn between_requests_there_is_more_time_and_within_the_next_one_less() {
        let patience = Patience { head: SHORT, idle: 4 * SHORT, write: LONG };
        check(patience, async |mut ours, _, mut theirs| {
            ours.write_all(b"answer").await.unwrap();
            let start = Instant::now();
            is_timeout(ours.read_u8().await);
            assert!(start.elapsed() >= 4 * SHORT);
            ours.write_all(b"answer").await.unwrap();
            theirs.write_all(b"G").await.unwrap();
            assert_eq!(ours.read_u8().await.unwrap(), b'G');
            is_timeout(ours.read_u8().await);
        });
    }

    #[test]
    fn an_answer_may_take_its_time() {
        let patience = Patience { head: SHORT, idle: LONG, write: LONG };
        check(patience, async |mut ours, busy, mut theirs| {
            theirs.write_all(b"G").await.unwrap();
            ours.read_u8().await.unwrap();
            busy.begin();
            let waited = tokio::time::timeout(4 * SHORT, ours.read_u8()).await;
            assert!(waited.is_err(), "it was not cut off");
        });
    }

    #[test]
    fn whoever_asks_has_to_take_the_answer() {
        let patience = Patience { head: LONG, idle: LONG, write: SHORT };
        check(patience, async |mut ours, _, mut theirs| {
            // Sixteen bytes have room on the way.
            is_timeout(ours.write_all(&[0; 20]).await);
            theirs.read_exact(&mut [0; 16]).await.unwrap();
            ours.write_all(&[0; 16]).await.unwrap();
        });
    }
}
