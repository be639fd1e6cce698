//! What a client would like, as it says in its headers.
//!
//! Nobody is refused for what is said there: what is not understood is passed over, and in the end everybody
//! gets the plain text.

use crate::encode::{Escaping, Exposition, Format};

/// A clause of a header such as `Accept`: what is asked for, with parameters, and how much it is wanted.
#[derive(Clone, Debug)]
pub struct Clause<'a> {
    what: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(clause: &'a str) -> Self {
        let mut parts = clause.split(';').map(str::trim);
        let what = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let quality = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
        // What is no number is taken for the default.
        let quality =
            quality.and_then(|(_, value)| value.parse().ok()).filter(|quality: &f32| !quality.is_nan());
        Self { what, parameters, quality: quality.unwrap_or(1.0) }
    }

    /// The clauses of a header, in as many lines as it has, the most wanted first.
    #[must_use]
    pub fn all(lines: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let mut clauses: Vec<_> =
            lines.into_iter().flat_map(|line| line.split(',')).map(Self::parse).collect();
        // Stable: of equal ones the first stays first.
        clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
        clauses
    }

    /// How much it is wanted: 0 if not at all, and 1 unless it says otherwise.
    #[must_use]
    pub fn quality(&self) -> f32 {
        self.quality
    }

    /// Whether this is asked for, in whatever case.
    #[must_use]
    pub fn is(&self, what: &str) -> bool {
        self.what.eq_ignore_ascii_case(what)
    }

    /// The first parameter of this name.
    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The format, if it is one that there is. A wildcard is none: whoever takes anything gets the plain text.
    fn format(&self) -> Option<Format> {
        if self.is("text/plain") {
            match self.parameter("version") {
                None | Some("0.0.4") => Some(Format::Text),
                Some("1.0.0") => Some(Format::TextV1),
                Some(_) => None,
            }
        } else if self.is("application/openmetrics-text") {
            match self.parameter("version") {
                None | Some("0.0.1") => Some(Format::OpenMetricsV0),
                Some("1.0.0") => Some(Format::OpenMetrics),
                Some(_) => None,
            }
        } else {
            let is_known = self.is("application/vnd.google.protobuf")
                && self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                && self.parameter("encoding") == Some("delimited");
            is_known.then_some(Format::Protobuf)
        }
    }

    /// The first scheme that is one.
    fn escaping(&self) -> Escaping {
        let schemes = self.parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case("escaping"));
        schemes.filter_map(|(_, value)| Escaping::find(value)).next().unwrap_or_default()
    }
}

impl Exposition<'_> {
    /// The exposition that is wanted most by a header `Accept`, in as many lines as it has.
    #[must_use]
    pub fn accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let clauses = Clause::all(accept);
        let wanted = clauses.iter().filter(|clause| clause.quality > 0.0);
        let found = wanted.filter_map(|clause| Some((clause.format()?, clause.escaping()))).next();
        let (format, escaping) = found.unwrap_or((Format::Text, Escaping::default()));
        Self { escaping, ..Self::new(format) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: &[&str]) -> (Format, Escaping) {
        let Exposition { format, escaping, .. } = Exposition::accepted(accept.iter().copied());
        (format, escaping)
    }

    #[test]
    fn real_scrapers_get_what_they_want_most() {
        let check = |value: &str, wanted| assert_eq!(accepted(&[value]), wanted, "{value}");
        let (plain, utf8) = (Escaping::Underscores, Escaping::AllowUtf8);
        // Prometheus 2.42, then 2.53 with native histograms, 3.5, 3.5 with native histograms; VictoriaMetrics.
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            (Format::OpenMetrics, plain),
        );
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            (Format::Protobuf, plain),
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            (Format::OpenMetrics, utf8),
        );
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1",
            (Format::Protobuf, plain),
        );
        check("text/plain;version=0.0.4;q=1,*/*;q=0.1", (Format::Text, plain));
    }

    #[test]
    fn odd_wishes_are_met_as_far_as_they_can_be() {
        let check = |value: &str, wanted| assert_eq!(accepted(&[value]).0, wanted, "{value}");
        for plain in [
            "",
            "*/*",
            "application/json",
            "nonsense",
            ";;,,=",
            "text/html, */*;q=2",
            "text/plain; version=7",
        ] {
            check(plain, Format::Text);
        }
        check("text/plain;version=1.0.0;q=0.4", Format::TextV1);
        check("Application/OpenMetrics-Text; Version=\"1.0.0\"", Format::OpenMetrics);
        check("application/openmetrics-text", Format::OpenMetricsV0);
        check("application/openmetrics-text;version=2.0.0", Format::Text);
        check("application/openmetrics-text;version=1.0.0;q=0, text/plain;q=0.1", Format::Text);
        check("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=nonsense", Format::OpenMetrics);
        // One release of Prometheus wants anything twice as much as what it can have.
        check("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=2", Format::OpenMetrics);
        check("application/vnd.google.protobuf;encoding=delimited", Format::Text);
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            Format::Text,
        );
        let escaping = |value: &str| accepted(&[value]).1;
        assert_eq!(
            escaping("text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8"),
            Escaping::AllowUtf8
        );
        assert_eq!(escaping("text/plain;escaping=wild;escaping=dots"), Escaping::Dots);
        // What another clause says is none of this one's business.
        assert_eq!(escaping("text/html;escaping=allow-utf-8, text/plain;q=0.5"), Escaping::Underscores);
        assert_eq!(accepted(&[]), (Format::Text, Escaping::Underscores));
        assert_eq!(accepted(&["text/html", "application/openmetrics-text"]).0, Format::OpenMetricsV0);
    }
}
