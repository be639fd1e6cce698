//! Hooks: the application's own metrics of each request.

use crate::head::{RequestHead, ResponseHead};

headcount_http::hook! {
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
    Hook<RequestHead<'_>, ResponseHead<'_>>
}
