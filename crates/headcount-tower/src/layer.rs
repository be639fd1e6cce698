//! The layer, and the builder that makes it.

use tower_layer::Layer;

use crate::head::{RequestHead, ResponseHead};
use crate::hook::Hook;
#[cfg(feature = "axum")]
use crate::router::MeasuredRouter;
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

#[cfg(feature = "axum")]
impl HttpMetrics {
    /// Measures every request of a whole router, from outside: the cheapest way to measure an axum application.
    ///
    /// Routes and fallbacks are all measured, in whatever order they were added; layers of the router are within. Requests
    /// count as with [`Router::layer`](axum::Router::layer), around which axum puts boxes. Those of a path and
    /// method that have not been there lately go through such a layer, to learn their route; so do all of a method that is
    /// rare, and all if the [`Builder`] was given functions, which then see what they see there.
    ///
    /// ```no_run
    /// # async fn serve() -> std::io::Result<()> {
    /// use axum::{Router, routing::get};
    /// use headcount_tower::HttpMetrics;
    ///
    /// let app = Router::new().route("/users/{id}", get(async || "Hello"));
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    /// axum::serve(listener, HttpMetrics::new().around(app)).await
    /// # }
    /// ```
    ///
    /// What is to stay a [`Router`](axum::Router), to be nested or merged, takes the layer.
    #[must_use]
    pub fn around(self, router: axum::Router) -> MeasuredRouter {
        MeasuredRouter::new(router, self.0)
    }
}
