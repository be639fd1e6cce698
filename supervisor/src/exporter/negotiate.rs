//! What a client would like, as it says in its headers.
//!
//! Nobody is refused for what is said there: what is not understood is passed over, and in the end everybody
//! gets the plain text.

use std::time::Duration;

use headcount_merge::{Clause, Exposition};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::coding::Coding;

/// A scraper that would wait longer does not know what it says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The lines of a header, as far as they are text.
fn lines(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// The exposition that is wanted most.
pub(super) fn exposition(headers: &HeaderMap) -> Exposition<'static> {
    Exposition::accepted(lines(headers, ACCEPT))
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
    let clauses = Clause::all(lines(headers, ACCEPT_ENCODING));
    let named = |coding: Coding| clauses.iter().find(|clause| clause.is(coding.as_str()));
    let wanted = clauses.iter().filter_map(|clause| {
        let known = [Coding::Gzip, Coding::Zstd].into_iter();
        // A wildcard is what is not named.
        let coding = match clause.is("*") {
            true => known.clone().find(|&coding| named(coding).is_none()),
            false => known.clone().find(|coding| clause.is(coding.as_str())),
        };
        coding.map(|coding| (coding, clause.quality()))
    });
    // Where nothing is said of it, the plain text is as welcome as anything.
    let plain = named(Coding::Identity).map_or(0.0, Clause::quality);
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
