//! Labels, and what bounds their values.
//!
//! Shared memory is finite, and whoever sends requests must not decide how much of it is used: a value
//! either comes from a set that is known, or from one that has a bound.

/// The value of what is not in a set, or comes when a set is full.
pub const OTHER: &str = "_OTHER";

/// The most labels that a metric may have: those that the middleware knows, constant and computed ones.
pub const MOST_LABELS: usize = 12;

/// A label that a metric may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The method, one of those that are known.
    Method,
    /// The route's template, or the constant for requests that no route matches.
    Route,
    /// The status code, or its class.
    Status,
    /// `http` or `https`.
    Scheme,
    /// The version of HTTP: `1.1`, `2`.
    Protocol,
    /// The status of an answer that failed, from 500 on; else empty.
    ErrorType,
    /// The type of an exception.
    Exception,
    /// The name of a language model.
    Model,
    /// What kind of tokens: `input`, `output` or `total`.
    TokenKind,
    /// The number of a status of gRPC.
    GrpcStatus,
    /// The version of the middleware.
    Version,
}

/// How many labels there are.
pub(crate) const LABELS: usize = 11;

impl Label {
    pub(crate) const NAMES: [&'static str; LABELS] = [
        "method",
        "route",
        "status",
        "scheme",
        "protocol",
        "error_type",
        "type",
        "model",
        "kind",
        "grpc_status",
        "version",
    ];
}

/// The method, if it is one that HTTP defines; else [`OTHER`]: a client may send any word.
#[inline]
#[must_use]
pub fn known_method(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => OTHER,
    }
}

/// The scheme, if it is one of the two of HTTP; else [`OTHER`].
pub(crate) fn known_scheme(scheme: &str) -> &'static str {
    match scheme {
        "http" => "http",
        "https" => "https",
        _ => OTHER,
    }
}

/// How a status is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusLabel {
    /// As its number.
    #[default]
    Exact,
    /// As its class: `2xx`.
    Class,
}

/// The status of a request whose client went away, as nginx has it. No answer has it.
pub const CLIENT_GONE: u16 = 499;

impl StatusLabel {
    /// A client that went away keeps a status of its own in either form.
    pub(crate) fn spell(self, status: u16) -> String {
        match self {
            Self::Class if status != CLIENT_GONE => format!("{}xx", status / 100),
            _ => status.to_string(),
        }
    }
}

/// A label that the application computes from a request or an answer.
#[derive(Clone, Debug)]
pub(crate) struct Computed {
    pub(crate) name: String,
    /// How many different values it may have.
    pub(crate) bound: usize,
}

/// The values of all labels at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a>(pub(crate) [&'a str; LABELS]);

impl<'a> Values<'a> {
    pub(crate) fn none() -> Self {
        Self([""; LABELS])
    }

    pub(crate) fn with(mut self, label: Label, value: &'a str) -> Self {
        self.0[label as usize] = value;
        self
    }

    pub(crate) fn get(&self, label: Label) -> &'a str {
        self.0[label as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_one_value_and_a_client_that_went_away_has_its_own() {
        let check = |status, exact, class| {
            assert_eq!(StatusLabel::Exact.spell(status), exact);
            assert_eq!(StatusLabel::Class.spell(status), class);
        };
        check(200, "200", "2xx");
        check(404, "404", "4xx");
        check(503, "503", "5xx");
        check(CLIENT_GONE, "499", "499");
    }

    #[test]
    fn words_that_are_no_method_are_one() {
        assert_eq!(["GET", "get", "BREW", ""].map(known_method), ["GET", OTHER, OTHER, OTHER]);
    }
}
