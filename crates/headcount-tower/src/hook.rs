//! Hooks: the application's own metrics of each request.

use std::fmt;

use headcount_http::{Follow, Report};

use crate::head::{RequestHead, ResponseHead};

/// Sees each request from its arrival to its end, for metrics of the application's own.
///
/// ```
/// use headcount::Histogram;
/// use headcount_tower::{Hook, Report, RequestHead};
///
/// /// How long users wait, by what they pay.
/// struct ByPlan(headcount::Family<Histogram, 1>);
///
/// impl Hook for ByPlan {
///     type Kept = &'static str;
///
///     fn request(&self, request: &RequestHead<'_>) -> &'static str {
///         if request.headers.contains_key("x-premium") { "premium" } else { "free" }
///     }
///
///     fn finished(&self, plan: &mut &'static str, report: &Report<'_>) {
///         self.0.with([plan]).observe_duration(report.duration);
///     }
/// }
/// ```
pub trait Hook: Send + Sync + 'static {
    /// What is kept of a request until it is over.
    type Kept: Send + 'static;

    /// A request has arrived.
    fn request(&self, request: &RequestHead<'_>) -> Self::Kept;

    /// The head of its answer is there. Not called when there never is one.
    fn response(&self, _kept: &mut Self::Kept, _response: &ResponseHead<'_>) {}

    /// It is over: the durations with and without the body, and the sizes, are in the report.
    fn finished(&self, kept: &mut Self::Kept, report: &Report<'_>);
}

/// A hook, whatever it keeps.
pub(crate) trait AnyHook: Send + Sync {
    fn begin(&'static self, request: &RequestHead<'_>) -> Follower;
}

impl<H: Hook> AnyHook for H {
    fn begin(&'static self, request: &RequestHead<'_>) -> Follower {
        Follower(Some(Box::new(Running { hook: self, kept: self.request(request) })))
    }
}

/// Follows a request for a hook, if there is one.
#[derive(Default)]
pub(crate) struct Follower(Option<Box<dyn Run>>);

trait Run: Send {
    fn response(&mut self, response: &ResponseHead<'_>);
    fn finished(&mut self, report: &Report<'_>);
}

struct Running<H: Hook> {
    hook: &'static H,
    kept: H::Kept,
}

impl<H: Hook> Run for Running<H> {
    fn response(&mut self, response: &ResponseHead<'_>) {
        self.hook.response(&mut self.kept, response);
    }

    fn finished(&mut self, report: &Report<'_>) {
        self.hook.finished(&mut self.kept, report);
    }
}

impl Follower {
    pub(crate) fn response(&mut self, response: &ResponseHead<'_>) {
        if let Some(run) = &mut self.0 {
            run.response(response);
        }
    }
}

impl Follow for Follower {
    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn finished(&mut self, report: &Report<'_>) {
        if let Some(run) = &mut self.0 {
            run.finished(report);
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("is_there", &self.is_there()).finish()
    }
}
