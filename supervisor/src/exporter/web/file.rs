//! What the file of the web configuration says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::auth::Users;
use super::rate::RateLimit;
use super::stamp::Stamps;
use super::tls::{self, Http2, Pems};
use super::{Reason, WebConfig};

/// All of it. What is `null` counts as not there.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tls_server_config: Option<TlsSection>,
    http_server_config: Option<HttpSection>,
    basic_auth_users: Option<BTreeMap<String, String>>,
    rate_limit: Option<RateSection>,
}

/// How connections are encrypted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    cert: Option<String>,
    cert_file: Option<PathBuf>,
    key: Option<String>,
    key_file: Option<PathBuf>,
    client_ca: Option<String>,
    client_ca_file: Option<PathBuf>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) curve_preferences: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpSection {
    /// Only together with TLS; yes unless it is a no.
    http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateSection {
    interval: Option<String>,
    burst: Option<u32>,
}

/// The headers that may be set, and to what; to anything, if nothing is said.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// Reads a file and those that it names.
pub(super) fn read(path: &Path, stamps: &mut Stamps) -> Result<WebConfig, Reason> {
    let text = read_text(path, stamps)?;
    let File { tls_server_config, http_server_config, basic_auth_users, rate_limit } =
        if text.trim().is_empty() { File::default() } else { parse(&text)? };
    let folder = path.parent().unwrap_or(Path::new(""));
    let http = http_server_config.unwrap_or_default();
    let http2 = if http.http2 == Some(false) { Http2::Off } else { Http2::Allowed };
    let users = basic_auth_users.filter(|users| !users.is_empty());
    Ok(WebConfig {
        tls: match tls_server_config {
            Some(section) => section.server_config(folder, http2, stamps)?,
            None => None,
        },
        headers: http.headers.unwrap_or_default().into_iter().map(header).collect::<Result<_, _>>()?,
        users: users.map(Users::new).transpose().map_err(Reason::Value)?,
        rate: rate_limit.map(RateSection::limit).transpose()?.flatten(),
    })
}

fn parse(text: &str) -> Result<File, Reason> {
    serde_saphyr::from_str::<Option<File>>(text)
        .map(Option::unwrap_or_default)
        .map_err(|error| Reason::Yaml(error.to_string()))
}

fn read_text(path: &Path, stamps: &mut Stamps) -> Result<String, Reason> {
    let unreadable = |source| Reason::Unreadable { path: path.to_owned(), source };
    let bytes = stamps.read(path).map_err(unreadable)?;
    String::from_utf8(bytes)
        .map_err(|error| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

fn header((name, value): (String, String)) -> Result<(HeaderName, HeaderValue), Reason> {
    let wrong = |what: &str| Reason::Value(format!("http_server_config.headers: {what} `{name}`"));
    let (_, allowed) =
        HEADERS.iter().find(|(known, _)| *known == name).ok_or_else(|| wrong("there is no"))?;
    if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
        return Err(wrong(&format!("`{value}` is not one of {}, for", allowed.join(", "))));
    }
    let parsed = HeaderValue::from_str(&value).map_err(|_| wrong("no header can have the value of"))?;
    Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("there is no"))?, parsed))
}

impl RateSection {
    /// None without an interval.
    fn limit(self) -> Result<Option<RateLimit>, Reason> {
        let wrong = |what: &str| Reason::Value(format!("rate_limit: {what}"));
        let Some(interval) = self.interval else { return Ok(None) };
        let interval =
            interval_of(&interval).ok_or_else(|| wrong("expected an interval such as 1s or 100ms"))?;
        match self.burst {
            _ if interval.is_zero() => Ok(None),
            None | Some(0) => Err(wrong("with an interval there is a burst, of at least 1")),
            Some(burst) => Ok(Some(RateLimit::new(interval, burst))),
        }
    }
}

/// A time as Go writes it, such as `1m30s`.
fn interval_of(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..at].parse().ok()?;
        let end =
            rest[at..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| at + end);
        let seconds = match &rest[at..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(sum)
}

impl TlsSection {
    fn server_config(
        &self,
        folder: &Path,
        http2: Http2,
        stamps: &mut Stamps,
    ) -> Result<Option<std::sync::Arc<tokio_rustls::rustls::ServerConfig>>, Reason> {
        let mut pem = |name, text: &Option<String>, file: &Option<PathBuf>| match (text, file) {
            (Some(_), Some(_)) => {
                Err(Reason::Value(format!("tls_server_config: {name} and {name}_file exclude each other")))
            }
            (Some(text), None) => Ok(Some(text.clone())),
            (None, Some(file)) => read_text(&folder.join(file), stamps).map(Some),
            (None, None) => Ok(None),
        };
        let cert = pem("cert", &self.cert, &self.cert_file)?;
        let key = pem("key", &self.key, &self.key_file)?;
        let client_ca = pem("client_ca", &self.client_ca, &self.client_ca_file)?;
        match (cert, key) {
            (Some(cert), Some(key)) => {
                tls::server_config(self, &Pems { cert, key, client_ca }, http2).map(Some)
            }
            (None, None) if client_ca.is_none() && self.client_auth_type.is_none() => Ok(None),
            (None, _) => Err(Reason::Value("tls_server_config: missing cert or cert_file".to_owned())),
            (_, None) => Err(Reason::Value("tls_server_config: missing key or key_file".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<WebConfig, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), &mut Stamps::default()).map_err(|reason| crate::chain(&reason))
    }

    #[test]
    fn what_prometheus_exporters_accept_is_accepted() {
        for good in [
            "",
            "\n# nothing\n",
            "tls_server_config:\n",
            "tls_server_config:\n  min_version: TLS13\n",
            "http_server_config:\n  http2: yes\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n",
            "basic_auth_users:\n  anna: $2b$10$abcdefghijklmnopqrstuu5Z5Zc0m1t1rCj7yTZ9Y1Gx0s3qXvW2e\n",
            "rate_limit:\n  interval: 1m0.5s\n  burst: 20\n",
        ] {
            let config = check(good).unwrap();
            assert!(config.tls.is_none(), "{good}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refused = |text: &str, part: &str| {
            let error = check(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        refused("tls_server_confg:\n", "tls_server_confg");
        refused("basic_auth_users: {}\nbasic_auth_users: {}\n", "duplicate");
        refused("basic_auth_users:\n  a: x\n  a: x\n", "duplicate");
        refused("basic_auth_users:\n  anna: secret\n", "`anna`");
        refused("http_server_config:\n  headers:\n    X-Other: x\n", "there is no `X-Other`");
        refused(
            "http_server_config:\n  headers:\n    X-Frame-Options: maybe\n",
            "not one of deny, sameorigin",
        );
        refused("http_server_config:\n  http2: perhaps\n", "http2");
        refused("rate_limit:\n  interval: soon\n  burst: 1\n", "expected an interval");
        refused("rate_limit:\n  interval: 1s\n", "a burst");
        refused("tls_server_config:\n  cert_file: /nowhere/x.pem\n", "cannot read /nowhere/x.pem");
        refused("tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n", "missing cert");
        refused("tls_server_config:\n  cert: x\n", "missing key");
        refused("tls_server_config:\n  cert: x\n  cert_file: y\n", "exclude each other");
        refused("tls_server_config:\n  cert: x\n  key: x\n", "no certificate");
        refused("- a list\n", "");
    }

    #[test]
    fn intervals_are_written_as_in_go() {
        let check = |text, milliseconds: Option<u64>| {
            assert_eq!(interval_of(text), milliseconds.map(Duration::from_millis), "{text}");
        };
        check("1s", Some(1000));
        check("1m30s", Some(90_000));
        check("0.5h", Some(1_800_000));
        check("250ms", Some(250));
        check("0", Some(0));
        for bad in ["", "1", "s", "1d", "-1s", "1s-"] {
            check(bad, None);
        }
    }
}
