//! The life of one request, from its arrival to its end, whichever that is.
//!
//! A handler may be cancelled at any point, panic at any point, and leave a body that nobody reads to the
//! end. So everything is counted by one value that follows the request, first in the future and then in the
//! body, and when it is dropped, the request is over.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use headcount::Exemplar;
use headcount::clock::Moment;

use crate::current::{self, Current, Note, Reporter};
use crate::endpoint::{Endpoint, Role};
use crate::grpc::Awaited;
use crate::label::CLIENT_GONE;
use crate::ongoing::{Ongoing, Stage};
use crate::read::{BytesRead, RequestBytes};
use crate::recorder::Alike;
use crate::report::{Follow, Outcome};
use crate::watch::Watch;

/// Measures one request. To drop it ends the request: its client is gone, unless its answer was complete.
///
/// One word, as it is moved about. Empty once the request is over: then nothing is counted, whatever it is told.
pub struct Life<F: Follow = ()>(Option<Box<Ongoing<F>>>);

/// The body of an answer, as its head declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none, or nobody will read it: an answer to `HEAD`, an upgrade.
    None,
    /// It has so many bytes.
    Sized(u64),
    /// It ends when it ends.
    Streamed,
}

impl<F: Follow> Life<F> {
    #[inline(always)]
    pub(crate) fn begin(
        endpoint: &'static Endpoint,
        arrived: Moment,
        request_bytes: Option<u64>,
        follow: impl FnOnce(&mut F),
    ) -> Self {
        let request = request_bytes.map_or(RequestBytes::Unknown, RequestBytes::Declared);
        Self(Some(Ongoing::begin(endpoint, arrived, request, follow)))
    }

    /// Whether it is over, or was never measured. One that is left out may still go on.
    #[inline(always)]
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether nothing about it will be counted any more: everything is, or it is left out.
    #[inline]
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(|ongoing| ongoing.stage == Stage::LeftOut)
    }

    /// What becomes of requests that arrive like this one, of which nothing has been told yet. `None` if each is to be asked
    /// for: there is no room for their series, and each is counted as one of those.
    #[must_use]
    pub fn alike(&self) -> Option<Alike> {
        let endpoint = self.0.as_deref().map(|ongoing| ongoing.endpoint);
        let is_theirs = endpoint.is_none_or(|endpoint| matches!(endpoint.role, Role::Measured));
        is_theirs.then_some(Alike(endpoint))
    }

    /// What is left of it, to go on elsewhere; nothing if it is over.
    #[inline]
    #[must_use]
    pub fn go_on(self) -> Self {
        if self.is_over() { Self::default() } else { self }
    }

    #[inline]
    fn at(&mut self, stage: Stage) -> Option<&mut Ongoing<F>> {
        self.0.as_deref_mut().filter(|ongoing| ongoing.stage == stage)
    }

    /// Does a part of the request's work: what it reports is this request's, and if it panics, so did the
    /// request.
    #[inline]
    pub fn watch<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let watch = Watch::over(mem::take(self));
        let result = work();
        *self = watch.end();
        result
    }

    /// Begins a part of the request's work, if it is not over, and returns what went on before.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Option<Current> {
        let ongoing = self.0.as_deref()?;
        Some(current::replace(Current::of(Some(ongoing.as_it_is()), ongoing.follow.place())))
    }

    /// A part of the request's work is over: what goes on is what went on before.
    #[inline(always)]
    pub(crate) fn leave(&mut self, outer: Current) {
        let mine = current::replace(outer);
        if mine.has_notes()
            && let Some(ongoing) = &mut self.0
        {
            note(ongoing, mine);
        }
    }

    /// Keeps an exemplar with what the request counts: its trace, which leads from a slow bucket to a slow request.
    pub fn set_exemplar(&mut self, exemplar: Exemplar) {
        if let Some(ongoing) = &mut self.0 {
            ongoing.exemplar = Some(Box::new(exemplar));
        }
    }

    /// What the bytes of the request's body are to be told while they are read: if it did not declare them, and
    /// somebody wants to know.
    #[inline]
    pub fn count_request(&mut self) -> Option<BytesRead> {
        match &mut self.0 {
            Some(ongoing) if matches!(ongoing.request, RequestBytes::Unknown) => ongoing.count_request(),
            _ => None,
        }
    }

    /// What follows the request.
    #[inline]
    pub fn follower(&mut self) -> Option<&mut F> {
        self.0.as_deref_mut().map(|ongoing| &mut ongoing.follow)
    }

    /// Whether a server reads nothing of the body of an answer with this status.
    #[inline]
    #[must_use]
    pub fn leaves_unread(&self, status: u16) -> bool {
        self.0.as_deref().is_some_and(|ongoing| ongoing.endpoint.asked.leaves_unread(status))
    }

    /// For reports about this request from elsewhere. None once everything is counted.
    #[must_use]
    pub fn reporter(&self) -> Option<Reporter> {
        self.0.as_deref().map(Ongoing::reporter)
    }

    /// Tells the route of a request that [came without it](crate::Recorder::accept_unrouted), if nobody has asked for it
    /// until now.
    #[inline]
    pub fn routed(&mut self, route: impl FnOnce() -> Option<String>) {
        if let Some(ongoing) = &mut self.0
            && ongoing.endpoint.unrouted().is_some()
        {
            ongoing.routed(route().as_deref());
        }
    }

    /// The head of the answer is there, with the values of the labels that are computed from it.
    #[inline]
    pub fn answered(&mut self, status: u16, body: Body, labels: Vec<String>) {
        if let Some(ongoing) = self.at(Stage::Handling)
            && ongoing.answered(status, body, labels)
        {
            self.finish(Outcome::Answered);
        }
    }

    /// The head of the answer is there, with a body of so many bytes, and nobody follows the request: what
    /// [`answered`](Self::answered) comes to then. Returns whether that is so; if not, nothing has been done.
    #[inline(always)]
    #[must_use = "if it is not so, it is to be told as any other"]
    pub fn sends(&mut self, status: u16, bytes: u64) -> bool {
        self.at(Stage::Handling).is_some_and(|ongoing| ongoing.sends(status, bytes))
    }

    /// The service has failed without an answer; `kind` is the type of its error.
    pub fn failed(&mut self, kind: &str) {
        if let Some(ongoing) = self.at(Stage::Handling) {
            ongoing.status = 500;
            self.broken(Outcome::Failed, kind);
        }
    }

    /// An error that the framework has made an answer of; `kind` is its type.
    pub fn errored(&mut self, kind: &str, status: u16) {
        if let Some(ongoing) = self.at(Stage::Handling) {
            ongoing.reporter().count_exception(kind, status);
        }
    }

    /// It is an answer of gRPC, whose status is in the head or will come.
    pub fn is_grpc(&mut self, status: Option<u16>) {
        if let Some(ongoing) = &mut self.0 {
            ongoing.grpc = Awaited::Status;
            status.into_iter().for_each(|status| ongoing.grpc_status(status));
        }
    }

    /// The status of gRPC has come in the trailers. For other answers, does nothing.
    pub fn grpc_status(&mut self, status: u16) {
        if let Some(ongoing) = &mut self.0 {
            ongoing.grpc_status(status);
        }
    }

    /// A piece of the body was handed on.
    #[inline]
    pub fn sent(&mut self, bytes: u64) {
        if let Some(ongoing) = self.at(Stage::Sending) {
            ongoing.sent(bytes);
        }
    }

    /// The body has failed; `kind` is the type of its error. The status has been sent and is counted.
    pub fn body_failed(&mut self, kind: &str) {
        if self.at(Stage::Sending).is_some() {
            self.broken(Outcome::Failed, kind);
        }
    }

    /// The body is complete.
    #[inline]
    pub fn ended(&mut self) {
        if self.at(Stage::Sending).is_some() {
            self.finish(Outcome::Answered);
        }
    }

    /// Takes back that it was there at all.
    pub fn leave_out(&mut self) {
        if let Some(ongoing) = &mut self.0 {
            ongoing.leave_out();
        }
    }

    #[cold]
    pub(crate) fn panicked(&mut self) {
        if let Some(ongoing) = &mut self.0
            && ongoing.stage != Stage::LeftOut
        {
            ongoing.status = 500;
            self.broken(Outcome::Panicked, "panic");
        }
    }

    fn broken(&mut self, outcome: Outcome, kind: &str) {
        if let Some(ongoing) = &self.0 {
            ongoing.reporter().count_exception(kind, ongoing.status);
        }
        self.finish(outcome);
    }

    /// Counts everything, now.
    #[inline(always)]
    fn finish(&mut self, outcome: Outcome) {
        if let Some(ongoing) = self.0.take() {
            finish(ongoing, outcome);
        }
    }
}

/// What is known of a request comes as one word: else that would be in memory wherever a life may end.
#[inline(never)]
fn finish<F: Follow>(mut ongoing: Box<Ongoing<F>>, outcome: Outcome) {
    ongoing.finish(outcome);
    ongoing.let_go();
}

#[inline(never)]
fn dropped<F: Follow>(mut ongoing: Box<Ongoing<F>>) {
    match ongoing.stage {
        Stage::LeftOut => ongoing.let_go(),
        // A server that knows the length does not ask whether there is more.
        Stage::Sending if ongoing.is_complete() => finish(ongoing, Outcome::Answered),
        // Somebody else's, between the client and us; the answer is lost all the same.
        _ if thread::panicking() => Life(Some(ongoing)).panicked(),
        _ => {
            ongoing.status = CLIENT_GONE;
            finish(ongoing, Outcome::ClientGone);
        }
    }
}

/// Keeps what is noted. Nothing of that panics, and nobody need be ready for it.
#[cold]
#[inline(never)]
fn note<F: Follow>(ongoing: &mut Ongoing<F>, mine: Current) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| keep_notes(ongoing, mine))) {
        mem::forget(panic);
    }
}

fn keep_notes<F: Follow>(ongoing: &mut Ongoing<F>, mine: Current) {
    if mine.has(Note::Exemplar)
        && let Some(exemplar) = current::take_exemplar()
    {
        ongoing.exemplar = Some(exemplar);
    }
    if mine.has(Note::Routed)
        && let Some(Reporter { endpoint }) = mine.reporter
    {
        ongoing.endpoint = endpoint;
    }
    if mine.has(Note::LeftOut) {
        ongoing.leave_out();
    }
}

/// That of a request that is not measured: it is over.
impl<F: Follow> Default for Life<F> {
    #[inline]
    fn default() -> Self {
        Self(None)
    }
}

impl<F: Follow> Drop for Life<F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ongoing) = self.0.take() {
            dropped(ongoing);
        }
    }
}

impl<F: Follow> fmt::Debug for Life<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.0.as_deref().map(|ongoing| ongoing.endpoint);
        let (method, route) =
            (endpoint.map(|endpoint| endpoint.method), endpoint.map(|endpoint| &*endpoint.route));
        f.debug_struct("Life").field("method", &method).field("route", &route).finish_non_exhaustive()
    }
}
