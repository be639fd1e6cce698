//! The request that is being worked on, and what its handler reports about it.
//!
//! Whoever drives a request says so for as long as it runs, at each poll anew. So a handler reports by a
//! call, without being handed anything; a task that it starts takes a [`Reporter`] along.

use std::any::type_name;
use std::cell::Cell;
use std::fmt;

use headcount::Exemplar;

use crate::endpoint::Endpoint;
use crate::label::{Label, OTHER};
use crate::unrouted::FindRoute;

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(Current::of(None, 0)) };
    /// What was reported of the current request, if that is noted there.
    static EXEMPLAR: Cell<Option<Box<Exemplar>>> = const { Cell::new(None) };
}

/// What this thread is working on. Two words, which go from request to request in registers.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) reporter: Option<Reporter>,
    /// The place where its route is found, if that is not known, and then the bits of notes.
    beside: u64,
}

/// What may be noted of a request, and is not counted at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note {
    LeftOut = 1,
    Exemplar = 2,
    /// Its route was found.
    Routed = 4,
}

const NOTES: u64 = 7;

impl Current {
    /// Nothing is noted yet.
    #[inline(always)]
    pub(crate) const fn of(reporter: Option<Reporter>, place: u32) -> Self {
        Self { reporter, beside: (place as u64) << NOTES.count_ones() }
    }

    #[inline(always)]
    pub(crate) fn has_notes(self) -> bool {
        self.beside & NOTES != 0
    }

    pub(crate) fn has(self, note: Note) -> bool {
        self.beside & note as u64 != 0
    }

    fn noted(self, note: Note) -> Self {
        Self { beside: self.beside | note as u64, ..self }
    }

    fn place(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "it was one of 32 bits")]
        let place = (self.beside >> NOTES.count_ones()) as u32;
        place
    }
}

/// Begins to work on another request, and returns the one before.
#[inline]
pub(crate) fn replace(current: Current) -> Current {
    CURRENT.replace(current)
}

/// The exemplar that was reported of the request that was current until now.
pub(crate) fn take_exemplar() -> Option<Box<Exemplar>> {
    EXEMPLAR.take()
}

/// Reports about a request, from wherever: a task that its handler has started, another thread. A small
/// handle, which is good for as long as the process lives.
#[derive(Clone, Copy)]
pub struct Reporter {
    pub(crate) endpoint: &'static Endpoint,
}

/// The tokens that a language model has read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// The model's name. The first hundred are told apart.
    pub model: String,
    /// Tokens that it has read.
    pub input: u64,
    /// Tokens that it has written.
    pub output: u64,
}

impl TokenUsage {
    /// So many tokens of a model.
    #[must_use]
    pub fn new(model: impl Into<String>, input: u64, output: u64) -> Self {
        Self { model: model.into(), input, output }
    }
}

impl Reporter {
    #[inline]
    pub(crate) fn of(endpoint: &'static Endpoint) -> Self {
        Self { endpoint }
    }

    /// Of the request that this thread is working on; `None` if there is none, or it is not measured.
    #[must_use]
    pub fn current() -> Option<Self> {
        let reporter = CURRENT.get().reporter?;
        Some(match reporter.endpoint.unrouted() {
            None => reporter,
            Some(find) => reporter.routed(find),
        })
    }

    /// The same of the current request with its route, which nobody has asked for until now.
    #[cold]
    fn routed(self, find: FindRoute) -> Self {
        let route = find(CURRENT.get().place());
        let reporter = Self::of(self.endpoint.recorder.route(self.endpoint, route.as_deref()));
        CURRENT.set(Current { reporter: Some(reporter), ..CURRENT.get() }.noted(Note::Routed));
        reporter
    }

    /// Counts an exception by its type, beside the status that it led to.
    pub fn error<E: ?Sized>(self, _: &E, status: u16) {
        self.count_exception(type_name::<E>(), status);
    }

    /// Counts the tokens of a language model. Those of a streamed answer may be reported as they come.
    pub fn tokens(self, usage: &TokenUsage) {
        let Some(tokens) = &self.endpoint.recorder.families().tokens else { return };
        let model = self.endpoint.recorder.known_model(&usage.model);
        let values = self.endpoint.values().with(Label::Model, model);
        let total = usage.input.saturating_add(usage.output);
        for (kind, count) in [("input", usage.input), ("output", usage.output), ("total", total)] {
            tokens.child(&values.with(Label::TokenKind, kind), &[]).add(count);
        }
    }

    pub(crate) fn count_exception(self, kind: &str, status: u16) {
        if let Some(exceptions) = &self.endpoint.recorder.families().exceptions {
            let status = self.endpoint.recorder.options().status.spell(status);
            let values = self.endpoint.values().with(Label::Exception, kind).with(Label::Status, &status);
            exceptions.child(&values, &[]).inc();
        }
    }

    pub(crate) fn count_grpc(self, status: u16) {
        if let Some(responses) = &self.endpoint.recorder.families().grpc_responses {
            // 0 to 16 are defined.
            let status = if status <= 16 { status.to_string() } else { OTHER.to_owned() };
            responses.child(&self.endpoint.values().with(Label::GrpcStatus, &status), &[]).inc();
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("route", &self.endpoint.route).finish_non_exhaustive()
    }
}

/// Counts an error that the current request's handler has dealt with, by its type, beside the status that it
/// led to. Where no request is measured, does nothing.
pub fn track_error<E: ?Sized>(error: &E, status: u16) {
    if let Some(reporter) = Reporter::current() {
        reporter.error(error, status);
    }
}

/// Counts tokens of a language model for the current request. Where no request is measured, does nothing.
pub fn track_tokens(usage: &TokenUsage) {
    if let Some(reporter) = Reporter::current() {
        reporter.tokens(usage);
    }
}

/// Keeps an exemplar with what is counted of the current request, in the place of one that it has: a trace that only the
/// handler knows. Where no request is measured, does nothing.
pub fn track_exemplar(exemplar: Exemplar) {
    if Reporter::current().is_some() {
        EXEMPLAR.set(Some(Box::new(exemplar)));
        CURRENT.set(CURRENT.get().noted(Note::Exemplar));
    }
}

/// Put into an answer's extensions, leaves its request out of the metrics. As [`do_not_track`], for handlers
/// that rather return than call.
#[derive(Clone, Copy, Debug)]
pub struct DoNotTrack;

/// Leaves the current request out of all metrics but errors and tokens that were reported.
pub fn do_not_track() {
    CURRENT.set(CURRENT.get().noted(Note::LeftOut));
}
