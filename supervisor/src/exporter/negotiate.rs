//! What a client would like, as it says in its headers.
//!
//! Nobody is refused for what is said there: what is not understood is passed over, and in the end everybody
//! gets the plain text.

use std::time::Duration;

use headcount_merge::{Escaping, Format};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::coding::Coding;

/// A scraper that would wait longer does not know what it says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A clause of a header: what is asked for, with parameters, and how much it is wanted.
struct Clause<'a> {
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

    fn is(&self, what: &str) -> bool {
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

/// The clauses of a header, the most wanted first; without those that are not wanted at all.
fn clauses(headers: &HeaderMap, name: HeaderName) -> Vec<Clause<'_>> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let mut clauses: Vec<_> = values.flat_map(|value| value.split(',')).map(Clause::parse).collect();
    // Stable: of equal ones the first stays first.
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses
}

/// The format that is wanted most, and the names in it.
pub(super) fn format(headers: &HeaderMap) -> (Format, Escaping) {
    let clauses = clauses(headers, ACCEPT);
    let wanted = clauses.iter().filter(|clause| clause.quality > 0.0);
    let found = wanted.filter_map(|clause| Some((clause.format()?, clause.escaping()))).next();
    found.unwrap_or((Format::Text, Escaping::default()))
}

/// How long the answer may take: a little less than the scraper waits, if it says how long that is.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get("x-prometheus-scrape-timeout-seconds")?.to_str().ok()?;
    let timeout = Duration::try_from_secs_f64(said.trim().parse().ok()?).ok()?;
    // For the way, and for compression.
    let reserve = (timeout / 10).min(Duration::from_millis(500));
    Some(timeout - reserve).filter(|time| !time.is_zero() && *time < LONGEST)
}

/// How the body is to be compressed. Of codings that are wanted as much the first goes before the others, and any goes
/// before none.
pub(super) fn coding(headers: &HeaderMap) -> Coding {
    let clauses = clauses(headers, ACCEPT_ENCODING);
    let named = |coding: Coding| clauses.iter().find(|clause| clause.is(coding.as_str()));
    let wanted = clauses.iter().filter_map(|clause| {
        let known = [Coding::Gzip, Coding::Zstd].into_iter();
        // A wildcard is what is not named.
        let coding = match clause.is("*") {
            true => known.clone().find(|&coding| named(coding).is_none()),
            false => known.clone().find(|coding| clause.is(coding.as_str())),
        };
        coding.map(|coding| (coding, clause.quality))
    });
    // Where nothing is said of it, the plain text is as welcome as anything.
    let plain = named(Coding::Identity).map_or(0.0, |clause| clause.quality);
    let mut good_enough = wanted.filter(|(_, quality)| *quality > 0.0 && *quality >= plain);
    good_enough.next().map_or(Coding::Identity, |(coding, _)| coding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn header(name: HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn real_scrapers_get_what_they_want_most() {
        let check =
            |value: &'static str, wanted| assert_eq!(format(&header(ACCEPT, value)), wanted, "{value}");
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
        let check =
            |value: &'static str, wanted| assert_eq!(format(&header(ACCEPT, value)).0, wanted, "{value}");
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
        let escaping = |value: &'static str| format(&header(ACCEPT, value)).1;
        assert_eq!(
            escaping("text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8"),
            Escaping::AllowUtf8
        );
        assert_eq!(escaping("text/plain;escaping=wild;escaping=dots"), Escaping::Dots);
        // What another clause says is none of this one's business.
        assert_eq!(escaping("text/html;escaping=allow-utf-8, text/plain;q=0.5"), Escaping::Underscores);
        assert_eq!(format(&HeaderMap::new()), (Format::Text, Escaping::Underscores));
    }

    #[test]
    fn an_answer_comes_before_the_scraper_gives_up() {
        let check = |value: &'static str, milliseconds: Option<u64>| {
            let name = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
            assert_eq!(timeout(&header(name, value)), milliseconds.map(Duration::from_millis), "{value}");
        };
        check("10", Some(9500));
        check("1.000000", Some(900));
        for odd in ["", "0", "-1", "NaN", "inf", "1e30", "1e300", "soon"] {
            check(odd, None);
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn an_encoding_is_chosen_as_the_client_weighs_it() {
        let check = |value: &'static str, expected| {
            assert_eq!(coding(&header(ACCEPT_ENCODING, value)), expected, "{value}");
        };
        check("gzip", Coding::Gzip);
        check("deflate, GZIP;q=0.5", Coding::Gzip);
        check("*", Coding::Gzip);
        check("*;q=0.1", Coding::Gzip);
        check("gzip;q=0, *", Coding::Zstd);
        check("gzip;q=0, zstd;q=0, *", Coding::Identity);
        check("gzip; q=0.0", Coding::Identity);
        check("gzip;q=0.5, identity", Coding::Identity);
        check("gzip;q=0.5, identity;q=0.5", Coding::Gzip);
        check("identity, zstd", Coding::Zstd);
        check("identity", Coding::Identity);
        check("", Coding::Identity);
        check("gzip;q=nonsense", Coding::Gzip);
        check("zstd", Coding::Zstd);
        check("Zstd;q=0.9, gzip", Coding::Gzip);
        check("gzip, deflate, br, zstd", Coding::Gzip);
        check("zstd, gzip;q=0.9", Coding::Zstd);
        check("zstd, gzip", Coding::Zstd);
        assert_eq!(coding(&HeaderMap::new()), Coding::Identity);
    }
}
