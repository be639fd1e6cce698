//! A request that is going on: what is known of it, and what is counted when it is over.

use std::time::Duration;

use headcount::Exemplar;
use headcount::clock::Moment;

use crate::current::Reporter;
use crate::endpoint::Endpoint;
use crate::grpc::Awaited;
use crate::label::MOST_LABELS;
use crate::length::Length;
use crate::life::Body;
use crate::read::{BytesRead, RequestBytes};
use crate::report::{Follow, Outcome, Report};
use crate::series::{Ended, Series};
use crate::spare;
use crate::unrouted::FindRoute;

/// What is known of a request.
pub(crate) struct Ongoing<F: Follow> {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) arrived: Moment,
    pub(crate) stage: Stage,
    pub(crate) status: u16,
    pub(crate) grpc: Awaited,
    pub(crate) request: RequestBytes,
    /// Seconds from the arrival to the head; known if anybody wants to.
    pub(crate) to_head: Option<f64>,
    /// Known when it is answered.
    pub(crate) body: Length,
    pub(crate) sent: u64,
    /// Values of labels that are computed from the answer.
    pub(crate) labels: Box<[String]>,
    /// In a box, because most have none.
    pub(crate) exemplar: Option<Box<Exemplar>>,
    pub(crate) follow: F,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Handling,
    Sending,
    /// Nothing of it is counted any more.
    LeftOut,
}

impl<F: Follow> Ongoing<F> {
    #[inline(always)]
    pub(crate) fn begin(
        endpoint: &'static Endpoint,
        arrived: Moment,
        request: RequestBytes,
        follow: impl FnOnce(&mut F),
    ) -> Box<Self> {
        if let Some(in_flight) = endpoint.in_flight {
            in_flight.inc();
        }
        let mut ongoing = match spare::take(F::spare()) {
            Some(ongoing) => ongoing,
            None => Self::blank(endpoint, arrived),
        };
        // One after the other: a whole one would be made elsewhere, and copied.
        ongoing.endpoint = endpoint;
        ongoing.arrived = arrived;
        ongoing.stage = Stage::Handling;
        ongoing.request = request;
        follow(&mut ongoing.follow);
        ongoing
    }

    #[cold]
    fn blank(endpoint: &'static Endpoint, arrived: Moment) -> Box<Self> {
        Box::new(Self {
            endpoint,
            arrived,
            stage: Stage::Handling,
            status: 0,
            grpc: Awaited::Nothing,
            request: RequestBytes::Unknown,
            to_head: None,
            body: Length::NONE,
            sent: 0,
            labels: Box::default(),
            exemplar: None,
            follow: F::default(),
        })
    }

    /// Nobody needs it any more: keeps its memory, as if it had never been used.
    #[inline(always)]
    pub(crate) fn let_go(mut self: Box<Self>) {
        self.status = 0;
        self.grpc = Awaited::Nothing;
        self.request = RequestBytes::Unknown;
        self.to_head = None;
        self.body = Length::NONE;
        self.sent = 0;
        self.labels = Box::default();
        self.exemplar = None;
        self.follow.let_go();
        spare::put(F::spare(), self);
    }

    /// Since its arrival.
    #[inline]
    pub(crate) fn seconds(&self) -> f64 {
        Moment::now().seconds_since(self.arrived)
    }

    /// For reports about it, with its route.
    pub(crate) fn reporter(&self) -> Reporter {
        match self.endpoint.unrouted() {
            None => self.as_it_is(),
            Some(find) => {
                let route = find(self.follow.place());
                Reporter::of(self.endpoint.recorder.route(self.endpoint, route.as_deref()))
            }
        }
    }

    /// The same, with its route only if that is known.
    #[inline]
    pub(crate) fn as_it_is(&self) -> Reporter {
        Reporter::of(self.endpoint)
    }

    /// Its route is known.
    #[inline]
    pub(crate) fn routed(&mut self, route: Option<&str>) {
        self.endpoint = self.endpoint.recorder.route(self.endpoint, route);
    }

    #[inline(always)]
    fn find_route(&mut self) {
        if let Some(find) = self.endpoint.unrouted() {
            self.found_by(find);
        }
    }

    #[cold]
    #[inline(never)]
    fn found_by(&mut self, find: FindRoute) {
        self.routed(find(self.follow.place()).as_deref());
    }

    /// Counts the bytes of its body while they are read, if somebody wants to know.
    #[cold]
    pub(crate) fn count_request(&mut self) -> Option<BytesRead> {
        if self.endpoint.recorder.families().request_size.is_none() && !self.follow.is_there() {
            return None;
        }
        let read = BytesRead::default();
        self.request = RequestBytes::Read(read.clone());
        Some(read)
    }

    /// The head of its answer is there. Returns whether that is all.
    #[inline]
    pub(crate) fn answered(&mut self, status: u16, body: Body, labels: Vec<String>) -> bool {
        self.find_route();
        (self.stage, self.status, self.body) = (Stage::Sending, status, Length::of(body));
        if !labels.is_empty() {
            self.labels = labels.into_boxed_slice();
        }
        let is_all = self.body == Length::NONE;
        let first_byte = &self.endpoint.recorder.families().first_byte;
        if is_all || first_byte.is_some() || body == Body::Streamed || self.follow.is_there() {
            self.to_head = Some(self.seconds());
        }
        if body == Body::Streamed {
            self.endpoint.streams().begin();
        }
        is_all
    }

    /// The head of its answer is there, and no more is to be done than to keep what it says. Returns whether that is so.
    #[inline(always)]
    pub(crate) fn sends(&mut self, status: u16, bytes: u64) -> bool {
        let Endpoint { asked, heads_are_plain, .. } = self.endpoint;
        let is_plain =
            bytes > 0 && *heads_are_plain && !asked.leaves_unread(status) && !self.follow.is_there();
        if is_plain {
            (self.stage, self.status, self.body) = (Stage::Sending, status, Length::sized(bytes));
        }
        is_plain
    }

    /// Whether all that was declared was handed on.
    pub(crate) fn is_complete(&self) -> bool {
        self.body.is_reached_by(self.sent)
    }

    /// A piece of its body was handed on.
    #[inline]
    pub(crate) fn sent(&mut self, bytes: u64) {
        if self.body == Length::STREAMED {
            let is_first = self.sent == 0 && bytes > 0;
            self.endpoint.streams().chunk(bytes, is_first.then(|| self.seconds()));
        }
        self.sent += bytes;
    }

    /// A status of gRPC has come.
    #[inline(never)]
    pub(crate) fn grpc_status(&mut self, status: u16) {
        if self.grpc == Awaited::Status {
            self.grpc = Awaited::Nothing;
            self.reporter().count_grpc(status);
        }
    }

    /// Counts everything about it.
    #[inline(always)]
    pub(crate) fn finish(&mut self, outcome: Outcome) {
        let seconds = match self.to_head {
            // The head was all: it has just been there.
            Some(to_head) if self.body == Length::NONE => to_head,
            _ => self.seconds(),
        };
        self.find_route();
        if self.grpc == Awaited::Status {
            self.grpc_status(outcome.grpc_status());
        }
        if self.body == Length::STREAMED {
            self.end_stream(seconds, outcome);
        }
        let is_sent = self.stage == Stage::Sending || self.endpoint.recorder.options().undeclared_is_empty;
        let request_bytes = self.request.get();
        let response_bytes = is_sent.then_some(self.sent);
        let ended = Ended { seconds, to_head: self.to_head, request_bytes, response_bytes };
        self.series().count(ended, self.exemplar.as_deref());
        self.stop_being_in_flight();
        if self.follow.is_there() {
            self.report(outcome, seconds, request_bytes);
        }
    }

    #[inline(never)]
    fn end_stream(&self, seconds: f64, outcome: Outcome) {
        if let Some(to_head) = self.to_head {
            self.endpoint.streams().end(seconds - to_head, outcome);
        }
    }

    #[cold]
    #[inline(never)]
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

    #[inline(always)]
    fn series(&self) -> &'static Series {
        match self.endpoint.by_status {
            true => self.endpoint.recorder.series(self.endpoint, self.status, &[]),
            false => self.labelled_series(),
        }
    }

    #[cold]
    #[inline(never)]
    fn labelled_series(&self) -> &'static Series {
        let count = self.endpoint.recorder.options().response_labels.len();
        let mut labels = [""; MOST_LABELS];
        // Without an answer there are none.
        labels.iter_mut().zip(&self.labels).for_each(|(place, value)| *place = value);
        self.endpoint.recorder.series(self.endpoint, self.status, &labels[..count.min(MOST_LABELS)])
    }

    /// Takes back that it was there at all.
    pub(crate) fn leave_out(&mut self) {
        if self.stage != Stage::LeftOut {
            if self.body == Length::STREAMED {
                self.endpoint.streams().forget();
            }
            self.stop_being_in_flight();
            self.stage = Stage::LeftOut;
        }
    }

    #[inline]
    fn stop_being_in_flight(&self) {
        if let Some(in_flight) = self.endpoint.in_flight {
            in_flight.dec();
        }
    }
}
