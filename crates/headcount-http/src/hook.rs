//! Hooks: the application's own metrics of each request.
//!
//! A framework's crate has heads of its own, and else the same hooks: this makes them.

/// Makes the trait `Hook` of a framework's crate, for its heads of requests and answers, and what follows a request
/// for it.
#[doc(hidden)]
#[macro_export]
macro_rules! hook {
    ($(#[$doc:meta])* Hook<$request:ty, $response:ty>) => {
        $(#[$doc])*
        pub trait Hook: Send + Sync + 'static {
            /// What is kept of a request until it is over.
            type Kept: Send + 'static;

            /// A request has arrived.
            fn request(&self, request: &$request) -> Self::Kept;

            /// The head of its answer is there. Not called when there never is one.
            fn response(&self, _kept: &mut Self::Kept, _response: &$response) {}

            /// It is over: the durations with and without the body, and the sizes, are in the report.
            fn finished(&self, kept: &mut Self::Kept, report: &$crate::Report<'_>);
        }

        /// A hook, whatever it keeps.
        pub(crate) trait AnyHook: Send + Sync {
            fn begin(&'static self, request: &$request) -> Follower;
        }

        impl<H: Hook> AnyHook for H {
            fn begin(&'static self, request: &$request) -> Follower {
                Follower(Some(Box::new(Running { hook: self, kept: self.request(request) })))
            }
        }

        /// Follows a request for a hook, if there is one.
        #[derive(Default)]
        pub(crate) struct Follower(Option<Box<dyn Run>>);

        trait Run: Send {
            fn response(&mut self, response: &$response);
            fn finished(&mut self, report: &$crate::Report<'_>);
        }

        struct Running<H: Hook> {
            hook: &'static H,
            kept: H::Kept,
        }

        impl<H: Hook> Run for Running<H> {
            fn response(&mut self, response: &$response) {
                self.hook.response(&mut self.kept, response);
            }

            fn finished(&mut self, report: &$crate::Report<'_>) {
                self.hook.finished(&mut self.kept, report);
            }
        }

        impl Follower {
            pub(crate) fn response(&mut self, response: &$response) {
                if let Some(run) = &mut self.0 {
                    run.response(response);
                }
            }
        }

        ::std::thread_local! {
            static SPARE: $crate::Spare<Follower> = const { $crate::Spare::new() };
        }

        impl $crate::Follow for Follower {
            fn spare() -> &'static ::std::thread::LocalKey<$crate::Spare<Self>> {
                &SPARE
            }

            #[inline]
            fn is_there(&self) -> bool {
                self.0.is_some()
            }

            fn finished(&mut self, report: &$crate::Report<'_>) {
                if let Some(run) = &mut self.0 {
                    run.finished(report);
                }
            }

            #[inline]
            fn let_go(&mut self) {
                self.0 = None;
            }
        }

        impl ::std::fmt::Debug for Follower {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct("Follower").field("is_there", &self.0.is_some()).finish()
            }
        }
    };
}
