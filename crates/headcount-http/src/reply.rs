//! What the endpoint answers to a scraper, whatever the framework.

use crate::credentials::Credentials;
use crate::exposition::{CONTENT_TYPE, Exposition};

/// An answer to a scraper.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The one header that matters, by its name.
    pub header: (&'static str, &'static str),
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Answers a request with this method and this value of `Authorization`. Reads files: see
    /// [`Exposition::render`].
    #[must_use]
    pub fn new(
        exposition: &Exposition,
        credentials: Option<&Credentials>,
        method: &str,
        authorization: Option<&[u8]>,
    ) -> Self {
        if !matches!(method, "GET" | "HEAD") {
            return Self { status: 405, header: ("allow", "GET, HEAD"), body: Vec::new() };
        }
        if let Some(credentials) = credentials.filter(|credentials| !credentials.admit(authorization)) {
            let header = ("www-authenticate", credentials.challenge());
            return Self { status: 401, header, body: Vec::new() };
        }
        match exposition.render() {
            Ok(body) => Self { status: 200, header: ("content-type", CONTENT_TYPE), body },
            Err(error) => {
                let body = format!("The metrics directory cannot be read: {error}.\n").into_bytes();
                Self { status: 500, header: ("content-type", "text/plain; charset=utf-8"), body }
            }
        }
    }
}
