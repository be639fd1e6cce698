//! The layer, and the builder that makes it.

use tower_layer::Layer;

use crate::head::{RequestHead, ResponseHead};
use crate::hook::Hook;
use crate::rules::{Functions, Rules};
use crate::service::Measured;

headcount_http::middleware! {
    /// A layer that measures every request of the service within.
    ///
    /// A small handle: copies of it count in the same series.
    HttpMetrics for<'a> (&RequestHead<'a>, &ResponseHead<'a>)
}

impl<S> Layer<S> for HttpMetrics {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured::new(inner, self.0)
    }
}
