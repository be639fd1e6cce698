//! The middleware as an application gets it: a handle, and the builder that makes it.
//!
//! A framework's crate has heads of its own, and else the same middleware: this makes it.

/// Makes `HttpMetrics` and `Builder` of a framework's crate, for functions of its heads of requests and answers. How it
/// comes around a service is for the crate to add.
///
/// The crate's [`hook!`](crate::hook) and [`rules!`](crate::rules) have to be in scope.
#[doc(hidden)]
#[macro_export]
macro_rules! middleware {
    ($(#[$doc:meta])* HttpMetrics for<$life:lifetime> ($request:ty, $response:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct HttpMetrics(&'static Rules);

        impl HttpMetrics {
            /// The default metrics under their conventional names.
            ///
            /// # Panics
            ///
            /// When they cannot be created: a name is taken by another metric, or the metrics directory takes no file.
            /// [`builder`](Self::builder) says so by an error.
            #[expect(clippy::new_without_default, reason = "it registers metrics, which is no default")]
            #[must_use]
            pub fn new() -> Self {
                match Self::builder($crate::Options::new()).build() {
                    Ok(metrics) => metrics,
                    Err(error) => panic!("the metrics of HTTP cannot be created: {error}"),
                }
            }

            /// Begins a middleware with these options, to which functions of the application's may be added.
            #[must_use]
            pub fn builder(options: $crate::Options) -> Builder {
                Builder { options, functions: Functions::default() }
            }

            /// Makes the series of requests that have not come yet, so that they begin at 0.
            #[must_use]
            pub fn expect(self, method: &str, route: &str, statuses: &[u16]) -> Self {
                self.0.recorder.expect(method, route, statuses);
                self
            }
        }

        /// Makes a middleware.
        pub struct Builder {
            options: $crate::Options,
            functions: Functions,
        }

        impl Builder {
            /// The route of a request, by a function of the application's; `None` is one that no route matches.
            /// Without it, routes are those of the framework, if it has any.
            ///
            /// What it returns should be a template: as many routes are told apart as
            /// [`Options::label_sets`](crate::Options::label_sets) allows.
            #[must_use]
            pub fn route(
                mut self,
                route: impl for<$life> Fn($request) -> Option<::std::borrow::Cow<$life, str>>
                + Send
                + Sync
                + 'static,
            ) -> Self {
                self.functions.route = Some(Box::new(route));
                self
            }

            /// A label whose value is computed from the request, such as a tenant. The first hundred values are
            /// told apart; see [`bounded_label`](Self::bounded_label).
            #[must_use]
            pub fn label(
                self,
                name: &str,
                value: impl for<$life> Fn($request) -> ::std::borrow::Cow<$life, str> + Send + Sync + 'static,
            ) -> Self {
                self.add_label(name, None, value)
            }

            /// The same with another number of values that are told apart; all others are `_OTHER`.
            #[must_use]
            pub fn bounded_label(
                self,
                name: &str,
                most: usize,
                value: impl for<$life> Fn($request) -> ::std::borrow::Cow<$life, str> + Send + Sync + 'static,
            ) -> Self {
                self.add_label(name, Some(most), value)
            }

            fn add_label(
                mut self,
                name: &str,
                most: Option<usize>,
                value: impl for<$life> Fn($request) -> ::std::borrow::Cow<$life, str> + Send + Sync + 'static,
            ) -> Self {
                self.options = self.options.request_label(name, most);
                self.functions.request_labels.push(Box::new(value));
                self
            }

            /// A label whose value is computed from the head of the answer, or from what the handler has put into
            /// its extensions. Empty if there is no answer. The first hundred values are told apart.
            #[must_use]
            pub fn response_label(
                mut self,
                name: &str,
                value: impl for<$life> Fn($response) -> ::std::borrow::Cow<$life, str> + Send + Sync + 'static,
            ) -> Self {
                self.options = self.options.response_label(name, None);
                self.functions.response_labels.push(Box::new(value));
                self
            }

            /// Leaves out requests for which a function says so.
            #[must_use]
            pub fn exclude(
                mut self,
                leaves_out: impl for<$life> Fn($request) -> bool + Send + Sync + 'static,
            ) -> Self {
                self.functions.predicates.push(Box::new(leaves_out));
                self
            }

            /// The exemplar of a request, by a function of the application's that is asked when it arrives: of the
            /// current `tracing` span, by `headcount_tracing::current_span`, or of anything that leads to this very
            /// request. It is kept with the request's count and durations.
            #[must_use]
            pub fn exemplar_from(
                mut self,
                exemplar: impl for<$life> Fn($request) -> Option<$crate::Exemplar> + Send + Sync + 'static,
            ) -> Self {
                self.functions.exemplar = Some(Box::new(exemplar));
                self
            }

            /// A hook for metrics of the application's own.
            #[must_use]
            pub fn hook(mut self, hook: impl Hook) -> Self {
                self.functions.hook = Some(Box::new(hook));
                self
            }

            /// Creates the metrics.
            ///
            /// # Errors
            ///
            /// When a name or label is none or is taken, or the metrics directory takes no file.
            pub fn build(self) -> Result<HttpMetrics, $crate::BuildError> {
                let recorder = $crate::Recorder::new(self.options)?;
                // As long as the process, like the metrics themselves.
                Ok(HttpMetrics(Box::leak(Box::new(Rules::new(recorder, self.functions)))))
            }
        }

        impl ::std::fmt::Debug for Builder {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct("Builder").field("options", &self.options).finish_non_exhaustive()
            }
        }
    };
}
