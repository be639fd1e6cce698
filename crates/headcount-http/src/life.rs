//! The life of one request, from its arrival to its end, whichever that is.
//!
//! A handler may be cancelled at any point, panic at any point, and leave a body that nobody reads to the
//! end. So everything is counted by one value that follows the request, first in the future and then in the
//! body, and when it is dropped, the request is over.

use std::fmt;
use std::thread;
use std::time::Duration;

use headcount::Exemplar;
use headcount::clock::Moment;

use crate::current::{self, Current, Reporter};
use crate::endpoint::Endpoint;
use crate::label::{CLIENT_GONE, MOST_LABELS};
use crate::read::{BytesRead, RequestBytes};
use crate::report::{Follow, Outcome, Report};
use crate::series::{Ended, Series};
use crate::watch::Watch;

/// Measures one request. To drop it ends the request: its client is gone, unless its answer was complete.
pub struct Life<F: Follow = ()> {
    endpoint: &'static Endpoint,
    arrived: Moment,
    request: RequestBytes,
    /// Seconds from the arrival to the head; known if anybody wants to.
    to_head: Option<f64>,
    body: Body,
    sent: u64,
    /// Values of labels that are computed from the answer.
    labels: Box<[String]>,
    /// In a box, because most have none.
    exemplar: Option<Box<Exemplar>>,
    follow: F,
    status: u16,
    stage: Stage,
    grpc: Grpc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handling,
    Sending,
    Over,
}

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

/// The status of gRPC, which comes at the end, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grpc {
    Not,
    Awaited,
    Counted,
}

/// The status of gRPC of an answer that has none, and of one whose client is gone.
const GRPC_UNKNOWN: u16 = 2;
const GRPC_CANCELLED: u16 = 1;

impl<F: Follow> Life<F> {
    #[inline]
    pub(crate) fn begin(endpoint: &'static Endpoint, request_bytes: Option<u64>, follow: F) -> Self {
        if let Some(in_flight) = endpoint.in_flight {
            in_flight.inc();
        }
        Self {
            endpoint,
            arrived: Moment::now(),
            request: request_bytes.map_or(RequestBytes::Unknown, RequestBytes::Declared),
            to_head: None,
            body: Body::None,
            sent: 0,
            labels: Box::default(),
            exemplar: None,
            follow,
            status: 0,
            stage: Stage::Handling,
            grpc: Grpc::Not,
        }
    }

    /// Does a part of the request's work: what it reports is this request's, and if it panics, so did the
    /// request.
    #[inline]
    pub fn watch<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let watch = Watch::over(Some(self));
        let result = work();
        watch.end();
        result
    }

    /// A part of the request's work is over: what goes on is what went on before.
    #[inline(always)]
    pub(crate) fn leave(&mut self, outer: Current) {
        let mine = current::replace(outer);
        if mine.has_notes() {
            self.note(mine);
        }
    }

    #[cold]
    fn note(&mut self, mine: Current) {
        if mine.has_exemplar
            && let Some(exemplar) = current::take_exemplar()
        {
            self.exemplar = Some(exemplar);
        }
        if mine.is_routed
            && let Some(Reporter { endpoint }) = mine.reporter
        {
            self.endpoint = endpoint;
        }
        if mine.is_left_out {
            self.leave_out();
        }
    }

    /// Keeps an exemplar with what the request counts: its trace, which leads from a slow bucket to a slow request.
    pub fn set_exemplar(&mut self, exemplar: Exemplar) {
        self.exemplar = Some(Box::new(exemplar));
    }

    /// What the bytes of the request's body are to be told while they are read: if it did not declare them, and
    /// somebody wants to know.
    #[inline]
    pub fn count_request(&mut self) -> Option<BytesRead> {
        match self.request {
            RequestBytes::Declared(_) => None,
            _ => self.count_undeclared(),
        }
    }

    #[cold]
    fn count_undeclared(&mut self) -> Option<BytesRead> {
        if self.endpoint.recorder.families().request_size.is_none() && !self.follow.is_there() {
            return None;
        }
        let read = BytesRead::default();
        self.request = RequestBytes::Read(read.clone());
        Some(read)
    }

    /// What follows the request.
    pub fn follower(&mut self) -> &mut F {
        &mut self.follow
    }

    /// Whether a server reads nothing of the body of an answer with this status.
    #[inline]
    #[must_use]
    pub fn leaves_unread(&self, status: u16) -> bool {
        self.endpoint.asked.leaves_unread(status)
    }

    /// For reports about this request from elsewhere.
    #[must_use]
    #[inline]
    pub fn reporter(&self) -> Reporter {
        match self.endpoint.unrouted() {
            None => self.as_it_is(),
            Some(find) => {
                let route = find(self.place());
                Reporter::of(self.endpoint.recorder.route(self.endpoint, route.as_deref()))
            }
        }
    }

    /// The same, with its route only if that is known.
    #[inline(always)]
    pub(crate) fn as_it_is(&self) -> Reporter {
        Reporter::of(self.endpoint)
    }

    /// Where its route is found, if that is not known.
    #[inline(always)]
    pub(crate) fn place(&self) -> u32 {
        self.follow.place()
    }

    /// Tells the route of a request that [came without it](crate::Recorder::accept_unrouted), if nobody has asked for it
    /// until now.
    #[inline]
    pub fn routed(&mut self, route: impl FnOnce() -> Option<String>) {
        if self.endpoint.unrouted().is_some() {
            self.endpoint = self.endpoint.recorder.route(self.endpoint, route().as_deref());
        }
    }

    #[inline(always)]
    fn find_route(&mut self) {
        if let Some(find) = self.endpoint.unrouted() {
            let place = self.place();
            self.routed(|| find(place));
        }
    }

    /// The head of the answer is there, with the values of the labels that are computed from it.
    #[inline]
    pub fn answered(&mut self, status: u16, body: Body, labels: Vec<String>) {
        if self.stage != Stage::Handling {
            return;
        }
        self.find_route();
        (self.stage, self.status, self.body) = (Stage::Sending, status, body);
        if !labels.is_empty() {
            self.labels = labels.into_boxed_slice();
        }
        if body == Body::None || body == Body::Sized(0) {
            let took = self.seconds();
            self.to_head = Some(took);
            return self.finish(Outcome::Answered, took);
        }
        let families = self.endpoint.recorder.families();
        if families.first_byte.is_some() || body == Body::Streamed || self.follow.is_there() {
            self.to_head = Some(self.seconds());
        }
        if body == Body::Streamed
            && let Some(active) = self.endpoint.streams().active
        {
            active.inc();
        }
    }

    /// The service has failed without an answer; `kind` is the type of its error.
    pub fn failed(&mut self, kind: &str) {
        if self.stage == Stage::Handling {
            self.status = 500;
            self.reporter().count_exception(kind, 500);
            self.finish(Outcome::Failed, self.seconds());
        }
    }

    /// An error that the framework has made an answer of; `kind` is its type.
    pub fn errored(&mut self, kind: &str, status: u16) {
        if self.stage == Stage::Handling {
            self.reporter().count_exception(kind, status);
        }
    }

    /// It is an answer of gRPC, whose status is in the head or will come.
    pub fn is_grpc(&mut self, status: Option<u16>) {
        self.grpc = Grpc::Awaited;
        if let Some(status) = status {
            self.grpc_status(status);
        }
    }

    /// The status of gRPC has come in the trailers. For other answers, does nothing.
    pub fn grpc_status(&mut self, status: u16) {
        if self.grpc == Grpc::Awaited {
            self.grpc = Grpc::Counted;
            self.reporter().count_grpc(status);
        }
    }

    /// A piece of the body was handed on.
    #[inline]
    pub fn sent(&mut self, bytes: u64) {
        if self.stage != Stage::Sending {
            return;
        }
        if self.body == Body::Streamed {
            self.streamed(bytes);
        }
        self.sent += bytes;
    }

    fn streamed(&mut self, bytes: u64) {
        let streams = self.endpoint.streams();
        if self.sent == 0
            && bytes > 0
            && let Some(first_chunk) = streams.first_chunk
        {
            first_chunk.observe(self.seconds());
        }
        if let Some(chunks) = streams.chunks {
            chunks.inc();
        }
        if let Some(count) = streams.bytes {
            count.add(bytes);
        }
    }

    /// The body has failed; `kind` is the type of its error. The status has been sent and is counted.
    pub fn body_failed(&mut self, kind: &str) {
        if self.stage == Stage::Sending {
            self.reporter().count_exception(kind, self.status);
            self.finish(Outcome::Failed, self.seconds());
        }
    }

    /// The body is complete.
    #[inline]
    pub fn ended(&mut self) {
        if self.stage == Stage::Sending {
            self.finish(Outcome::Answered, self.seconds());
        }
    }

    /// Whether everything about it is counted.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Takes back that it was there at all.
    pub fn leave_out(&mut self) {
        if self.stage != Stage::Over {
            self.stop_being_in_flight();
            self.stage = Stage::Over;
        }
    }

    /// Since its arrival.
    #[inline]
    fn seconds(&self) -> f64 {
        Moment::now().seconds_since(self.arrived)
    }

    #[cold]
    pub(crate) fn panicked(&mut self) {
        if self.stage != Stage::Over {
            self.status = 500;
            self.reporter().count_exception("panic", 500);
            self.finish(Outcome::Panicked, self.seconds());
        }
    }

    #[inline]
    fn finish(&mut self, outcome: Outcome, seconds: f64) {
        self.find_route();
        if self.grpc == Grpc::Awaited {
            self.grpc_status(if outcome == Outcome::ClientGone { GRPC_CANCELLED } else { GRPC_UNKNOWN });
        }
        if self.body == Body::Streamed {
            self.end_stream(outcome, seconds);
        }
        let series = match self.endpoint.recorder.options().response_labels.len() {
            0 => self.endpoint.recorder.series(self.endpoint, self.status, &[]),
            count => self.labelled_series(count),
        };
        let is_sent = self.stage == Stage::Sending || self.endpoint.recorder.options().undeclared_is_empty;
        let request_bytes = self.request.get();
        series.count(&Ended {
            seconds,
            to_head: self.to_head,
            request_bytes,
            response_bytes: is_sent.then_some(self.sent),
            exemplar: self.exemplar.as_deref(),
        });
        self.stop_being_in_flight();
        self.stage = Stage::Over;
        if self.follow.is_there() {
            self.report(outcome, seconds, request_bytes);
        }
    }

    #[cold]
    fn report(&mut self, outcome: Outcome, seconds: f64, request_bytes: Option<u64>) {
        let report = Report {
            method: self.endpoint.method,
            route: &self.endpoint.route,
            status: self.status,
            outcome,
            duration: Duration::from_secs_f64(seconds),
            to_head: self.to_head.map(Duration::from_secs_f64),
            request_bytes,
            response_bytes: self.sent,
        };
        self.follow.finished(&report);
    }

    fn labelled_series(&self, count: usize) -> &'static Series {
        let mut labels = [""; MOST_LABELS];
        // Without an answer there are none.
        labels.iter_mut().zip(&self.labels).for_each(|(place, value)| *place = value);
        self.endpoint.recorder.series(self.endpoint, self.status, &labels[..count.min(MOST_LABELS)])
    }

    fn end_stream(&self, outcome: Outcome, seconds: f64) {
        let streams = self.endpoint.streams();
        if let (Some(observer), Some(to_head)) = (streams.duration, self.to_head) {
            observer.observe((seconds - to_head).max(0.0));
        }
        if let Some(errors) = streams.errors
            && outcome != Outcome::Answered
        {
            errors.inc();
        }
    }

    fn stop_being_in_flight(&self) {
        if let Some(in_flight) = self.endpoint.in_flight {
            in_flight.dec();
        }
        if self.stage == Stage::Sending
            && self.body == Body::Streamed
            && let Some(active) = self.endpoint.streams().active
        {
            active.dec();
        }
    }
}

impl<F: Follow> Drop for Life<F> {
    fn drop(&mut self) {
        // A server that knows the length does not ask whether there is more.
        let is_complete = matches!(self.body, Body::Sized(bytes) if self.sent >= bytes);
        match self.stage {
            Stage::Over => {}
            Stage::Sending if is_complete => self.finish(Outcome::Answered, self.seconds()),
            // Somebody else's, between the client and us; the answer is lost all the same.
            _ if thread::panicking() => self.panicked(),
            _ => {
                self.status = CLIENT_GONE;
                self.finish(Outcome::ClientGone, self.seconds());
            }
        }
    }
}

impl<F: Follow> fmt::Debug for Life<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint { method, route, .. } = self.endpoint;
        f.debug_struct("Life").field("method", method).field("route", route).finish_non_exhaustive()
    }
}
