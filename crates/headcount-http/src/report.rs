//! How a request ended, and who else is told.

use std::thread::LocalKey;
use std::time::Duration;

use crate::spare::Spare;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By an answer.
    Answered,
    /// The service failed without an answer, or the body of its answer did.
    Failed,
    /// By a panic.
    Panicked,
    /// The client went away, or something else gave it up.
    ClientGone,
}

impl Outcome {
    /// The status of gRPC of a request that ended so and had none: of those that its specification has, CANCELLED or
    /// UNKNOWN.
    pub(crate) fn grpc_status(self) -> u16 {
        if self == Self::ClientGone { 1 } else { 2 }
    }
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The method, one of those that are known.
    pub method: &'a str,
    /// The route's template, or the constant for requests without one.
    pub route: &'a str,
    /// The status under which it was counted.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// From its arrival to its end.
    pub duration: Duration,
    /// From its arrival to the head of the answer: the duration without the body. `None` if there was none.
    pub to_head: Option<Duration>,
    /// The bytes of the request's body: as it declared them, else as they were read so far.
    pub request_bytes: Option<u64>,
    /// The bytes of the answer's body that were handed on.
    pub response_bytes: u64,
}

/// What follows a request to its end. The default is nobody.
pub trait Follow: Default + 'static {
    /// Where a thread keeps memory of requests that are over. A thread-local cannot be one for every type.
    fn spare() -> &'static LocalKey<Spare<Self>>;

    /// Whether there is anybody, who then wants to know how long the head took.
    fn is_there(&self) -> bool;

    /// The request is over. Called once, unless it is left out.
    fn finished(&mut self, report: &Report<'_>);

    /// Nobody follows the request any more; the next one may be followed by the same value.
    fn let_go(&mut self);

    /// Where its route is found, if that may have to be found later: see
    /// [`Recorder::accept_unrouted`](crate::Recorder::accept_unrouted).
    #[inline]
    fn place(&self) -> u32 {
        0
    }
}

thread_local! {
    static SPARE: Spare<()> = const { Spare::new() };
}

/// Nothing follows it.
impl Follow for () {
    fn spare() -> &'static LocalKey<Spare<Self>> {
        &SPARE
    }

    #[inline]
    fn is_there(&self) -> bool {
        false
    }

    fn finished(&mut self, _: &Report<'_>) {}

    #[inline]
    fn let_go(&mut self) {}
}
