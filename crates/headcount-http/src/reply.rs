//! What the endpoint answers to a scraper, whatever the framework.

use std::borrow::Cow;

use crate::credentials::Credentials;
use crate::exposition::Exposition;

/// An answer to a scraper.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The one header that matters, by its name.
    pub header: (&'static str, Cow<'static, str>),
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Answers a request with this method, this value of `Authorization`, and these of `Accept`. Reads files: see
    /// [`Exposition::render_for`].
    #[must_use]
    pub fn new<'a>(
        exposition: &Exposition,
        credentials: Option<&Credentials>,
        method: &str,
        authorization: Option<&[u8]>,
        accept: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        if !matches!(method, "GET" | "HEAD") {
            return Self { status: 405, header: ("allow", "GET, HEAD".into()), body: Vec::new() };
        }
        if let Some(credentials) = credentials.filter(|credentials| !credentials.admit(authorization)) {
            let header = ("www-authenticate", credentials.challenge().into());
            return Self { status: 401, header, body: Vec::new() };
        }
        match exposition.render_for(accept) {
            Ok((body, kind)) => Self { status: 200, header: ("content-type", kind), body },
            Err(error) => {
                let body = format!("The metrics directory cannot be read: {error}.\n").into_bytes();
                Self { status: 500, header: ("content-type", "text/plain; charset=utf-8".into()), body }
            }
        }
    }
}
