//! A request, as it arrives, and what of it is told apart.

use crate::label::{MOST_LABELS, OTHER};

/// A request, as it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival<'a> {
    /// The method, whatever it is.
    pub method: &'a str,
    /// The template of the route that matches; `None` if none does.
    pub route: Option<&'a str>,
    /// The path. Only compared with what is left out.
    pub path: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The version of HTTP: `1.1`, `2`.
    pub protocol: &'a str,
    /// The values of the labels that are computed from the request, in the order of the options.
    pub labels: &'a [&'a str],
    /// The length of its body in bytes, if it declares one.
    pub body: Option<u64>,
}

/// What makes an [endpoint](crate::endpoint::Endpoint).
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: &'a str,
    pub(crate) scheme: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) computed: &'a [&'a str],
}

/// Method, route, scheme, protocol, and computed labels.
pub(crate) const KEY: usize = 4 + MOST_LABELS;

impl Arrived<'_> {
    fn fixed_key(&self) -> [&str; 4] {
        [self.method, self.route, self.scheme, self.protocol]
    }

    /// What tells it apart, in a place for the longest.
    pub(crate) fn key<'k, 'a>(&'a self, key: &'k mut [&'a str; KEY]) -> &'k [&'a str] {
        key[..4].copy_from_slice(&self.fixed_key());
        // More labels than fit would not have been registered.
        let computed = key[4..].iter_mut().zip(self.computed);
        computed.for_each(|(place, value)| *place = value);
        &key[..KEY.min(4 + self.computed.len())]
    }
}

/// The version of HTTP, if it is one.
pub(crate) fn known_protocol(protocol: &str) -> &'static str {
    match protocol {
        "0.9" => "0.9",
        "1.0" => "1.0",
        "1.1" => "1.1",
        "2" => "2",
        "3" => "3",
        _ => OTHER,
    }
}
