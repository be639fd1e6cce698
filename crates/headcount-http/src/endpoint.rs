//! Where requests come to, and how they end: the series of each, looked up once.
//!
//! An *endpoint* is known when a request arrives: a method, a route, and labels that are computed from the
//! request. Its *answers* are known when the request is over: a status, and labels that are computed from the
//! answer. Both are kept for ever, so that a request that is like another finds its series by one look each.

use std::sync::OnceLock;

use headcount::UpDown;

use crate::arrival::Arrived;
use crate::asked::Asked;
use crate::families::series;
use crate::label::{CLIENT_GONE, Label, Values};
use crate::metric::Metric;
use crate::observer::{Observed, Sizes, observer};
use crate::recorder::Recorder;
use crate::series::{Series, Streams};
use crate::tree::Tree;
use crate::unrouted::FindRoute;

/// Requests that are alike when they arrive. What each of them needs comes first, in one line of a processor's cache.
#[repr(C, align(64))]
pub(crate) struct Endpoint {
    pub(crate) recorder: Recorder,
    pub(crate) role: Role,
    pub(crate) in_flight: Option<UpDown>,
    answers: Place,
    /// What the method asks for.
    pub(crate) asked: Asked,
    /// Whether nobody wants to know when the head of an answer is there.
    pub(crate) heads_are_plain: bool,
    /// Whether answers are told apart by their status alone.
    pub(crate) by_status: bool,
    pub(crate) method: &'static str,
    pub(crate) route: Box<str>,
    pub(crate) scheme: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) computed: Box<[Box<str>]>,
    streams: OnceLock<Streams>,
}

/// What an endpoint is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// To be measured.
    Measured,
    /// To be left out.
    LeftOut,
    /// To take what has no room elsewhere.
    CatchAll,
    /// To stand for its requests until their route is known, or somebody has to know it and finds it so.
    Unrouted(FindRoute),
}

type Place = OnceLock<&'static Answers>;

/// Answers of one status, and then those of others. Few endpoints have more than a handful.
#[repr(C)]
struct Answers {
    status: u16,
    next: Place,
    /// Without labels that are computed from the answer.
    plain: OnceLock<Series>,
    labelled: Tree<Series>,
}

impl Endpoint {
    pub(crate) fn new(arrived: &Arrived<'_>, recorder: Recorder, role: Role) -> Self {
        let mut endpoint = Self {
            recorder,
            role,
            method: arrived.method,
            asked: Asked::by(arrived.method),
            heads_are_plain: recorder.families().first_byte.is_none() && !matches!(role, Role::Unrouted(_)),
            by_status: recorder.options().response_labels.is_empty(),
            route: arrived.route.into(),
            scheme: arrived.scheme,
            protocol: arrived.protocol,
            computed: arrived.computed.iter().copied().map(Box::from).collect(),
            in_flight: None,
            streams: OnceLock::new(),
            answers: OnceLock::new(),
        };
        if !matches!(role, Role::LeftOut) {
            endpoint.in_flight = series(recorder.families().in_flight.as_ref(), &endpoint.values(), &[]);
        }
        endpoint
    }

    /// What finds the route of a request here, if that is not known.
    #[inline(always)]
    pub(crate) fn unrouted(&self) -> Option<FindRoute> {
        if let Role::Unrouted(find) = self.role { Some(find) } else { None }
    }

    /// Whether this is where such a request comes to.
    #[inline(always)]
    pub(crate) fn is(&self, arrived: &Arrived<'_>) -> bool {
        self.is_of(arrived)
            && is_same(&self.route, arrived.route)
            && (arrived.computed.is_empty() || self.has_computed(arrived.computed))
    }

    /// Whether this is where requests with this method and route come to, where nothing else tells them apart.
    #[inline(always)]
    pub(crate) fn is_at(&self, method: &str, route: &str) -> bool {
        is_same(self.method, method) && is_same(&self.route, route)
    }

    /// Whether this is where such a request comes to as long as no more is known of it: nothing that is said in words of an
    /// application's.
    #[inline(always)]
    pub(crate) fn is_of(&self, arrived: &Arrived<'_>) -> bool {
        is_likely_here(self.method, arrived.method)
            && is_likely_here(self.scheme, arrived.scheme)
            && is_likely_here(self.protocol, arrived.protocol)
    }

    fn has_computed(&self, values: &[&str]) -> bool {
        self.computed.iter().zip(values).all(|(known, value)| **known == **value)
    }

    pub(crate) fn values(&self) -> Values<'_> {
        Values::none()
            .with(Label::Method, self.method)
            .with(Label::Route, &self.route)
            .with(Label::Scheme, self.scheme)
            .with(Label::Protocol, self.protocol)
    }

    /// What it was made from, without labels that are computed.
    pub(crate) fn arrived(&self) -> Arrived<'_> {
        let Self { method, route, scheme, protocol, .. } = self;
        Arrived { method, route, scheme, protocol, computed: &[] }
    }

    /// The series of an answer, if they are there.
    #[inline(always)]
    pub(crate) fn series(&self, status: u16, computed: &[&str]) -> Option<&'static Series> {
        let mut place = &self.answers;
        while let Some(&answers) = place.get() {
            if answers.status == status {
                return if computed.is_empty() {
                    answers.plain.get()
                } else {
                    answers.labelled.get(computed)
                };
            }
            place = &answers.next;
        }
        None
    }

    /// The series of an answer, made if need be. Only to be called by one thread at a time.
    pub(crate) fn create_series(&self, status: u16, computed: &[&str]) -> &'static Series {
        let mut place = &self.answers;
        let answers = loop {
            match place.get() {
                Some(&answers) if answers.status == status => break answers,
                Some(&answers) => place = &answers.next,
                None => {
                    let (plain, labelled, next) = (OnceLock::new(), Tree::default(), OnceLock::new());
                    let answers = Answers { status, plain, labelled, next };
                    let _ = place.set(Box::leak(Box::new(answers)));
                }
            }
        };
        let make = || self.register(status, computed);
        if computed.is_empty() {
            answers.plain.get_or_init(make)
        } else {
            answers.labelled.get_or_insert(computed, make)
        }
    }

    fn register(&self, status: u16, computed: &[&str]) -> Series {
        let (families, options) = (self.recorder.families(), self.recorder.options());
        let spelled = options.status.spell(status);
        let failed = if status >= 500 || status == CLIENT_GONE { spelled.as_str() } else { "" };
        let values = self.values().with(Label::Status, &spelled).with(Label::ErrorType, failed);
        let computed: Vec<&str> =
            self.computed.iter().map(|value| &**value).chain(computed.iter().copied()).collect();
        let observer = |family| observer(family, &values, &computed);
        let sizes = |family: Option<&'static Observed>, metric| {
            let ignores_empty = options.ignores_empty(metric);
            let make = if ignores_empty { Sizes::not_empty } else { Sizes::every };
            family.map(|family| make(family, &values, &computed))
        };
        Series {
            requests: series(families.requests.as_ref(), &values, &computed),
            duration: observer(families.duration.as_ref()),
            overall_duration: observer(families.overall_duration.as_ref()),
            first_byte: observer(families.first_byte.as_ref()),
            request_size: sizes(families.request_size.as_ref(), Metric::RequestSize),
            response_size: sizes(families.response_size.as_ref(), Metric::ResponseSize),
        }
    }

    /// What is counted of its streamed answers.
    pub(crate) fn streams(&self) -> &Streams {
        self.streams.get_or_init(|| {
            let families = self.recorder.families();
            let values = self.values();
            Streams {
                active: series(families.active_streams.as_ref(), &values, &[]),
                chunks: series(families.stream_chunks.as_ref(), &values, &[]),
                bytes: series(families.stream_bytes.as_ref(), &values, &[]),
                duration: observer(families.stream_duration.as_ref(), &values, &[]),
                first_chunk: observer(families.stream_first_chunk.as_ref(), &values, &[]),
                errors: series(families.stream_errors.as_ref(), &values, &[]),
            }
        })
    }
}

/// Whether two texts are the same that are constants, and seldom at two places.
#[inline(always)]
fn is_likely_here(known: &str, text: &str) -> bool {
    known.len() == text.len() && (known.as_ptr() == text.as_ptr() || known == text)
}

/// Whether two texts are the same, word by word: most are so short that a call would take longer.
#[inline(always)]
fn is_same(known: &str, text: &str) -> bool {
    let (known, text) = (known.as_bytes(), text.as_bytes());
    if known.len() != text.len() {
        return false;
    }
    match (known.last_chunk::<WORD>(), text.last_chunk::<WORD>()) {
        // Those in between overlap with the last one.
        (Some(last), Some(other)) => {
            last == other && known.as_chunks::<WORD>().0.iter().eq(text.as_chunks::<WORD>().0)
        }
        _ => short(known) == short(text),
    }
}

/// All of a text that is shorter than a word.
#[inline(always)]
fn short(text: &[u8]) -> u64 {
    let two = |first: u32, last: u32| u64::from(first) << u32::BITS | u64::from(last);
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => two(u32::from_le_bytes(*first), u32::from_le_bytes(*last)),
        _ => match *text {
            [] => 0,
            [first, .., last] => two(first.into(), u32::from(text[text.len() / 2]) << 8 | u32::from(last)),
            [letter] => letter.into(),
        },
    }
}

const WORD: usize = size_of::<u64>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_only_if_all_of_their_letters_are() {
        let text = "/organizations/{organization}/users";
        for length in 0..text.len() {
            let known = &text[..length];
            assert!(is_same(known, known) && !is_same(known, text) && !is_same(text, known));
            for at in 0..length {
                let mut other = known.to_owned();
                other.replace_range(at..=at, "#");
                assert!(!is_same(known, &other), "{other}");
            }
        }
    }
}
