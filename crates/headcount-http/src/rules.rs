//! Rules: the functions of an application's by which its requests are measured.
//!
//! They see the heads of a framework, and are else the same: this makes those of its crate.

/// Makes the `Rules` of a framework's crate, for functions of its heads of requests and answers. How a request is read
/// is for the crate to add.
///
/// The crate's [`hook!`](crate::hook) has to be in scope.
#[doc(hidden)]
#[macro_export]
macro_rules! rules {
    (for<$life:lifetime> ($request:ty, $response:ty)) => {
        /// The functions and the recorder for which they work.
        pub(crate) struct Rules {
            pub(crate) recorder: $crate::Recorder,
            pub(crate) functions: Functions,
            /// Whether nobody asks for the head of a request, but for its route.
            pub(crate) requests_are_plain: bool,
            /// Whether nobody asks for the head of an answer, but for its status and its length.
            pub(crate) answers_are_plain: bool,
        }

        /// The functions that a user has given.
        #[derive(Default)]
        pub(crate) struct Functions {
            pub(crate) route: Option<Box<RouteFn>>,
            pub(crate) request_labels: Vec<Box<RequestLabelFn>>,
            pub(crate) response_labels: Vec<Box<ResponseLabelFn>>,
            pub(crate) predicates: Vec<Box<PredicateFn>>,
            pub(crate) exemplar: Option<Box<ExemplarFn>>,
            pub(crate) hook: Option<Box<dyn AnyHook>>,
        }

        type RouteFn = dyn for<$life> Fn($request) -> Option<::std::borrow::Cow<$life, str>> + Send + Sync;
        type RequestLabelFn = dyn for<$life> Fn($request) -> ::std::borrow::Cow<$life, str> + Send + Sync;
        type ResponseLabelFn = dyn for<$life> Fn($response) -> ::std::borrow::Cow<$life, str> + Send + Sync;
        type PredicateFn = dyn for<$life> Fn($request) -> bool + Send + Sync;
        type ExemplarFn = dyn for<$life> Fn($request) -> Option<$crate::Exemplar> + Send + Sync;

        impl Rules {
            pub(crate) fn new(recorder: $crate::Recorder, functions: Functions) -> Self {
                let Functions { request_labels, response_labels, predicates, exemplar, hook, .. } = &functions;
                let requests_are_plain = recorder.is_enabled()
                    && request_labels.is_empty()
                    && predicates.is_empty()
                    && exemplar.is_none()
                    && hook.is_none()
                    && !recorder.takes_traceparent();
                let answers_are_plain =
                    response_labels.is_empty() && hook.is_none() && !recorder.counts_grpc();
                Self { recorder, functions, requests_are_plain, answers_are_plain }
            }

            /// Gives a request its exemplar: by the application's function, else by the header `traceparent`, where that
            /// is wanted.
            #[inline]
            fn take_exemplar<$life>(
                &self,
                life: &mut $crate::Life<impl $crate::Follow>,
                request: $request,
                traceparent: impl FnOnce() -> Option<&$life str>,
            ) {
                // An exemplar is large, and most requests are without.
                if life.is_over() || self.functions.exemplar.is_none() && !self.recorder.takes_traceparent() {
                    return;
                }
                let own = self.functions.exemplar.as_ref().and_then(|exemplar| exemplar(request));
                let sent = || match self.recorder.takes_traceparent() {
                    true => $crate::Exemplar::of_traceparent(traceparent()?),
                    false => None,
                };
                own.or_else(sent).into_iter().for_each(|exemplar| life.set_exemplar(exemplar));
            }
        }

        impl ::std::fmt::Debug for Rules {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct("Rules").field("recorder", &self.recorder).finish_non_exhaustive()
            }
        }
    };
}
