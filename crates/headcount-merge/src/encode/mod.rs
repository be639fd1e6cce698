//! The result in every format that a scraper may ask for.
//!
//! All formats have the same series with the same values. What a format cannot say of a family, it leaves
//! unsaid: in OpenMetrics a counter that is not called `_total` is of unknown type.
//!
//! * `escaping`: what becomes of names that not every reader knows.
//! * `shown`: which families there are, and what they are called.
//! * `lines`: the lines of a family's samples, which `text` and `openmetrics` share.
//! * `protobuf`, `json`: the formats without lines, and `otlp`, which is pushed.

mod escaping;
mod json;
mod lines;
mod openmetrics;
mod otlp;
mod protobuf;
mod shown;
mod text;

use std::fmt;

pub use escaping::Escaping;
pub use otlp::Otlp;
pub(crate) use protobuf::to_count;

use crate::merged::Merged;
use crate::text::Buckets;
use shown::shown;

/// A format of expositions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text, version 0.0.4.
    Text,
    /// Prometheus' text, version 1.0.0: the same, where names may be quoted.
    TextV1,
    /// OpenMetrics text, version 0.0.1.
    OpenMetricsV0,
    /// OpenMetrics text, version 1.0.0, which is the same but for its name.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily`, each after its length.
    Protobuf,
    /// JSON for people, in the shape of `prom2json`.
    Json,
}

/// What an exposition is to be.
#[derive(Clone, Copy, Debug)]
pub struct Exposition<'a> {
    /// Its format.
    pub format: Format,
    /// What becomes of names that are not made of letters, digits and underscores. JSON has them as they are.
    pub escaping: Escaping,
    /// Only the families of these names, or with samples of these names; all if there are none.
    pub names: &'a [String],
}

impl Exposition<'_> {
    /// All families in a format, with names that every reader knows.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, escaping: Escaping::default(), names: &[] }
    }

    /// Its Content-Type.
    #[must_use]
    pub fn content_type(&self) -> String {
        match self.format {
            Format::Json => self.format.to_string(),
            format => format!("{format}; escaping={}", self.escaping.as_str()),
        }
    }

    fn is_plain_text(&self) -> bool {
        let is_text = matches!(self.format, Format::Text | Format::TextV1);
        is_text && self.escaping == Escaping::Underscores && self.names.is_empty()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::TextV1 => "text/plain; version=1.0.0; charset=utf-8",
            Self::OpenMetricsV0 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::Json => "application/json",
        })
    }
}

impl Merged<'_> {
    /// The result as it is asked for.
    #[must_use]
    pub fn encode(&self, exposition: &Exposition<'_>) -> Vec<u8> {
        if exposition.is_plain_text() {
            return self.to_text(Buckets::Cumulative);
        }
        let out = Vec::with_capacity(self.expected_len());
        let families = shown(self, exposition);
        match exposition.format {
            Format::Text | Format::TextV1 => text::encode(&families, exposition.escaping, out),
            Format::OpenMetricsV0 | Format::OpenMetrics => {
                openmetrics::encode(&families, exposition.escaping, out)
            }
            Format::Protobuf => protobuf::encode(&families, exposition.escaping, out),
            Format::Json => json::encode(&families, out),
        }
    }
}
