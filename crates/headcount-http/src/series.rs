//! The series of requests that are alike, and what becomes of one of them.

use headcount::{Counter, Exemplar, UpDown};

use crate::observer::{Observer, Sizes};
use crate::report::Outcome;

/// What is counted when a request is over.
pub(crate) struct Series {
    pub(crate) requests: Option<Counter>,
    pub(crate) duration: Option<Observer>,
    pub(crate) overall_duration: Option<Observer>,
    pub(crate) first_byte: Option<Observer>,
    pub(crate) request_size: Option<Sizes>,
    pub(crate) response_size: Option<Sizes>,
}

/// What is counted of streamed answers.
pub(crate) struct Streams {
    pub(crate) active: Option<UpDown>,
    pub(crate) chunks: Option<Counter>,
    pub(crate) bytes: Option<Counter>,
    pub(crate) duration: Option<Observer>,
    pub(crate) first_chunk: Option<Observer>,
    pub(crate) errors: Option<Counter>,
}

/// A request that is over.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    /// From its arrival to its end.
    pub(crate) seconds: f64,
    /// From its arrival to the head of its answer, if there was one and somebody wants to know.
    pub(crate) to_head: Option<f64>,
    pub(crate) request_bytes: Option<u64>,
    /// None without an answer.
    pub(crate) response_bytes: Option<u64>,
}

impl Series {
    /// Counts a request, and keeps its exemplar.
    #[inline(always)]
    pub(crate) fn count(&self, ended: Ended, exemplar: Option<&Exemplar>) {
        match exemplar {
            None => self.count_with(ended, None),
            exemplar => self.count_and_keep(ended, exemplar),
        }
    }

    /// The same with an exemplar. Apart, so that others need not ask for it at each of their series.
    #[cold]
    #[inline(never)]
    fn count_and_keep(&self, ended: Ended, exemplar: Option<&Exemplar>) {
        self.count_with(ended, exemplar);
    }

    #[inline(always)]
    fn count_with(&self, ended: Ended, exemplar: Option<&Exemplar>) {
        if let Some(requests) = self.requests {
            match exemplar {
                None => requests.inc(),
                Some(exemplar) => requests.inc_with_exemplar(*exemplar),
            }
        }
        if let Some(observer) = &self.duration {
            observer.observe_with(ended.seconds, exemplar);
        }
        if let Some(observer) = &self.overall_duration {
            observer.observe_with(ended.seconds, exemplar);
        }
        if let (Some(observer), Some(to_head)) = (&self.first_byte, ended.to_head) {
            observer.observe_with(to_head, exemplar);
        }
        if let (Some(sizes), Some(bytes)) = (&self.request_size, ended.request_bytes) {
            sizes.observe(bytes);
        }
        if let (Some(sizes), Some(bytes)) = (&self.response_size, ended.response_bytes) {
            sizes.observe(bytes);
        }
    }
}

impl Streams {
    /// An answer begins to be streamed.
    pub(crate) fn begin(&self) {
        self.active.iter().for_each(UpDown::inc);
    }

    /// A piece of one was handed on; if it is the first that is not empty, so many seconds after the request's arrival.
    pub(crate) fn chunk(&self, bytes: u64, first: Option<f64>) {
        if let (Some(first_chunk), Some(seconds)) = (&self.first_chunk, first) {
            first_chunk.observe(seconds);
        }
        self.chunks.iter().for_each(Counter::inc);
        self.bytes.iter().for_each(|count| count.add(bytes));
    }

    /// One is over, so many seconds after its head.
    pub(crate) fn end(&self, seconds: f64, outcome: Outcome) {
        self.duration.iter().for_each(|duration| duration.observe(seconds.max(0.0)));
        if outcome != Outcome::Answered {
            self.errors.iter().for_each(Counter::inc);
        }
        self.forget();
    }

    /// One is not to be counted after all, as far as it was not yet.
    pub(crate) fn forget(&self) {
        self.active.iter().for_each(UpDown::dec);
    }
}
