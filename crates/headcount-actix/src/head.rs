//! What rules and hooks see of an answer, without the type of its body.

use actix_web::dev::Extensions;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What the handler has added to the answer.
    pub extensions: &'a Extensions,
}

impl<'a> ResponseHead<'a> {
    pub(crate) fn new(status: StatusCode, headers: &'a HeaderMap, extensions: &'a Extensions) -> Self {
        Self { status, headers, extensions }
    }
}
