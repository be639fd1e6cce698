//! How metrics are served.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::cli::WebArgs;

/// What an exporter is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOptions {
    /// The path under which metrics are served.
    pub telemetry_path: TelemetryPath,
    /// How many scrapes may be answered at the same time; `None` for any number.
    pub max_requests: Option<usize>,
    /// The file that says who may connect, and how; `None` for everybody in plain text.
    pub config: Option<PathBuf>,
    /// Whether OpenMetrics has samples called `_created`.
    pub created_samples: bool,
}

impl From<WebArgs> for WebOptions {
    fn from(args: WebArgs) -> Self {
        // Where is listened is not the exporter's business.
        let WebArgs { systemd_socket: _, telemetry_path, max_requests, config, created_samples } = args;
        // Whatever becomes of this process's folder.
        let config = config.map(|path| std::path::absolute(&path).unwrap_or(path));
        let max_requests = Some(max_requests).filter(|&most| most > 0);
        Self { telemetry_path, max_requests, config, created_samples }
    }
}

/// The path under which metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPath(String);

/// A text is no path, or one that serves something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a path such as /metrics, without spaces, `?` and `#`, and other than /-/… and /api/…")]
pub struct TelemetryPathError;

impl TelemetryPath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TelemetryPath {
    fn default() -> Self {
        Self("/metrics".to_owned())
    }
}

impl FromStr for TelemetryPath {
    type Err = TelemetryPathError;

    fn from_str(text: &str) -> Result<Self, TelemetryPathError> {
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>' | b'&');
        let is_taken = text.starts_with("/-/") || text.starts_with("/api/");
        let is_path = text.starts_with('/') && text.bytes().all(is_plain) && !is_taken;
        if is_path { Ok(Self(text.to_owned())) } else { Err(TelemetryPathError) }
    }
}

impl fmt::Display for TelemetryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_under_a_path_of_their_own() {
        for good in ["/", "/metrics", "/a/b.c"] {
            assert_eq!(good.parse::<TelemetryPath>().unwrap().as_str(), good);
        }
        for bad in ["", "metrics", "/a?b", "/a b", "/-/ready", "/api/v1/metrics", "/\u{e9}"] {
            assert_eq!(bad.parse::<TelemetryPath>(), Err(TelemetryPathError), "{bad}");
        }
    }
}
