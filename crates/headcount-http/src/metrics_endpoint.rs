//! The metrics' own endpoint as an application gets it.
//!
//! A framework's crate answers by its own types, and else has the same endpoint: this makes it.

/// Makes `MetricsEndpoint` of a framework's crate. How a request comes to it and gets its [`Reply`](crate::Reply) is for
/// the crate to add.
#[doc(hidden)]
#[macro_export]
macro_rules! metrics_endpoint {
    ($(#[$doc:meta])* MetricsEndpoint) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct MetricsEndpoint {
            exposition: ::std::sync::Arc<$crate::Exposition>,
            credentials: Option<$crate::Credentials>,
        }

        impl MetricsEndpoint {
            /// The merge of the directory that `PROMETHEUS_MULTIPROC_DIR` names; without it, this process's own
            /// metrics.
            ///
            /// # Errors
            ///
            /// When the directory cannot be opened.
            pub fn from_environment() -> Result<Self, $crate::OpenError> {
                Ok(Self::new($crate::Exposition::from_environment()?))
            }

            /// Serves these.
            #[must_use]
            pub fn new(exposition: $crate::Exposition) -> Self {
                Self { exposition: ::std::sync::Arc::new(exposition), credentials: None }
            }

            /// Answers only those who send these. Anything around it that authenticates will do as well.
            #[must_use]
            pub fn credentials(mut self, credentials: $crate::Credentials) -> Self {
                self.credentials = Some(credentials);
                self
            }

            /// The metrics as text and their content type, for those who serve them themselves.
            ///
            /// # Errors
            ///
            /// When the directory cannot be listed.
            pub fn render(&self) -> ::std::io::Result<(Vec<u8>, &'static str)> {
                Ok((self.exposition.render()?, $crate::CONTENT_TYPE))
            }

            /// The same in the format that a header `Accept` wants most; see
            /// [`Exposition::render_for`](crate::Exposition::render_for).
            ///
            /// # Errors
            ///
            /// When the directory cannot be listed.
            pub fn render_for<'a>(
                &self,
                accept: impl IntoIterator<Item = &'a str>,
            ) -> ::std::io::Result<(Vec<u8>, ::std::borrow::Cow<'static, str>)> {
                self.exposition.render_for(accept)
            }

            /// What a request with this method, this value of `Authorization`, and these of `Accept` gets.
            fn reply<'a>(
                &self,
                method: &str,
                authorization: Option<&[u8]>,
                accept: impl IntoIterator<Item = &'a str>,
            ) -> $crate::Reply {
                $crate::Reply::new(&self.exposition, self.credentials.as_ref(), method, authorization, accept)
            }
        }
    };
}
