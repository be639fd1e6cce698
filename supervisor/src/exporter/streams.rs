//! The requests of an HTTP/2 connection, of which several may be open at a time.
//!
//! That the client reads tells nothing here, and neither does that it writes: there are pings, and windows that are
//! opened or are not. So it counts what it asks for, and how much of the answers it takes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Response};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::body::Body;
use super::patience::Patience;

/// So many may be open at a time: a scraper has one.
pub(super) const MOST: u32 = 16;
/// So many answers may a client ask for and then not want.
const GIVEN_UP: u32 = 100;
/// An answer is handed on in pieces of so many bytes at most, the next one when the client has taken the last.
const PIECE: usize = 64 * 1024;

/// The requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    patience: Patience,
}

#[derive(Debug)]
struct State {
    has_asked: bool,
    /// Requests whose answers are being made.
    waiting: u32,
    /// Those whose answers are being taken.
    taking: u32,
    given_up: u32,
    /// When the client has last done what it is waited for.
    last: Instant,
}

/// One that is open. Whoever drops it before its answer was taken gives it up.
#[derive(Debug)]
pub(super) struct Asked {
    streams: Streams,
    is_answered: bool,
    is_taken: bool,
}

/// An answer's body, as far as it is not taken yet.
#[derive(Debug)]
pub(super) struct Pieces {
    rest: Body,
    asked: Asked,
}

impl Streams {
    pub(super) fn new(patience: Patience) -> Self {
        let state = State { has_asked: false, waiting: 0, taking: 0, given_up: 0, last: Instant::now() };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new(), patience }))
    }

    /// A request has come.
    pub(super) fn ask(&self) -> Asked {
        self.change(|state| {
            state.has_asked = true;
            state.waiting += 1;
        });
        Asked { streams: self.clone(), is_answered: false, is_taken: false }
    }

    /// Returns when the client is not waited for any longer.
    pub(super) async fn expire(&self) {
        loop {
            let changed = self.0.changed.notified();
            let end = self.end();
            match end {
                None => changed.await,
                Some(end) if end <= Instant::now() => return,
                // What was taken meanwhile is more time.
                Some(end) => drop(timeout_at(end, changed).await),
            }
        }
    }

    /// Until when the client is waited for; `None` while it is the one that waits.
    fn end(&self) -> Option<Instant> {
        let state = self.state();
        let patience = &self.0.patience;
        match *state {
            State { given_up, last, .. } if given_up > GIVEN_UP => Some(last),
            State { waiting: 1.., .. } => None,
            State { taking: 1.., last, .. } => Some(last + patience.write),
            State { has_asked: false, last, .. } => Some(last + patience.head),
            State { last, .. } => Some(last + patience.idle),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.last = Instant::now();
        self.0.changed.notify_one();
    }
}

impl Asked {
    /// The answer as it goes to the client: without a body if the method wants none.
    pub(super) fn answer(mut self, method: &Method, response: Response<Body>) -> Response<Pieces> {
        self.is_answered = true;
        self.streams.change(|state| {
            state.waiting -= 1;
            state.taking += 1;
        });
        let (mut parts, mut rest) = response.into_parts();
        parts.headers.insert(CONTENT_LENGTH, rest.len().into());
        if method == Method::HEAD {
            rest = Body::default();
        }
        self.is_taken = rest.is_empty();
        Response::from_parts(parts, Pieces { rest, asked: self })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.streams.change(|state| {
            *(if self.is_answered { &mut state.taking } else { &mut state.waiting }) -= 1;
            state.given_up += u32::from(!self.is_taken);
        });
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.rest.next_piece(PIECE) else { return Poll::Ready(None) };
        self.asked.is_taken = self.rest.is_empty();
        self.asked.streams.change(|_| {});
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use http_body_util::BodyExt;
    use hyper::body::Body as _;

    const HEAD: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(10);
    const WRITE: Duration = Duration::from_secs(3);

    fn streams() -> Streams {
        Streams::new(Patience { head: HEAD, idle: IDLE, write: WRITE })
    }

    /// How long the client is waited for from now on.
    fn left(streams: &Streams) -> Option<Duration> {
        streams.end().map(|end| end - streams.state().last)
    }

    fn respond(asked: Asked, method: &Method, len: usize) -> Response<Pieces> {
        asked.answer(method, Response::new(Bytes::from(vec![0; len]).into()))
    }

    #[test]
    fn a_client_is_waited_for_as_long_as_it_is_its_turn() {
        let streams = streams();
        assert_eq!(left(&streams), Some(HEAD));
        let (first, second) = (streams.ask(), streams.ask());
        assert_eq!(left(&streams), None);
        let first = respond(first, &Method::GET, 10);
        assert_eq!(left(&streams), None, "the second waits");
        let second = respond(second, &Method::GET, 10);
        drop(first);
        assert_eq!(left(&streams), Some(WRITE));
        drop(second);
        assert_eq!(left(&streams), Some(IDLE));
    }

    #[test]
    fn an_answer_goes_in_pieces_and_is_given_up_if_they_are_not_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let streams = streams();
            let given_up = || streams.state().given_up;
            let mut body = respond(streams.ask(), &Method::GET, PIECE + 1).into_body();
            assert_eq!(body.size_hint().exact(), Some(PIECE as u64 + 1));
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE);
            assert!(!body.is_end_stream());
            drop(body);
            assert_eq!(given_up(), 1);
            drop(streams.ask());
            assert_eq!(given_up(), 2);
            let whole = respond(streams.ask(), &Method::GET, PIECE + 1).into_body();
            assert_eq!(whole.collect().await.unwrap().to_bytes().len(), PIECE + 1);
            let head = respond(streams.ask(), &Method::HEAD, 7);
            assert_eq!(head.headers()[CONTENT_LENGTH], "7");
            assert!(head.body().is_end_stream());
            drop(head);
            assert_eq!(given_up(), 2);
        });
    }

    #[test]
    fn whoever_wants_nothing_of_what_it_asks_for_is_left_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let streams = streams();
            (0..=GIVEN_UP).for_each(|_| drop(streams.ask()));
            let _another = streams.ask();
            streams.expire().await;
        });
    }
}
