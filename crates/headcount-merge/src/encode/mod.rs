//! The result in every format that a scraper may ask for.
//!
//! All formats have the same series with the same values. What a format cannot say of a family, it leaves
//! unsaid: in OpenMetrics a counter that is not called `_total` is of unknown type.
//!
//! * `escaping`: what becomes of names that not every reader knows.
//! * `shown`: which families there are, and what they are called.
//! * `written`: a family's samples in text; `lines`: those of `text` and `openmetrics`, which have a line each.
//! * `protobuf`, `json`: the formats without lines, and `otlp`, which is pushed.
//! * `line_page` and `sheet`, `metric_page` and `metric_sheet`: an exposition that is kept for the next, in text and
//!   in protobuf, where series may show more than figures, `beside` those; `sheets`: all of those.

mod beside;
mod escaping;
mod json;
mod line_page;
mod lines;
mod metric_page;
mod metric_sheet;
mod openmetrics;
mod otlp;
mod protobuf;
mod sheet;
mod sheets;
mod shown;
mod text;
mod written;

use std::fmt;

pub use escaping::Escaping;
pub use otlp::Otlp;
pub(crate) use protobuf::to_count;
pub(crate) use sheets::Sheets;

use crate::merged::Merged;
use crate::page::Pages;
use sheet::Dialect;
use sheets::Style;
use shown::shown;

/// A page of an exposition that is kept ends with the first series that makes it so long, in bytes: about as far back
/// as gzip looks.
const PAGE: usize = 32 * 1024;

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
    /// Whether OpenMetrics has samples called `_created`, which say since when series are. A reader that does not
    /// know them takes them for series. Protobuf says it without.
    pub created_samples: bool,
}

impl Exposition<'_> {
    /// All families in a format, with names that every reader knows.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, escaping: Escaping::default(), names: &[], created_samples: false }
    }

    /// Its Content-Type.
    #[must_use]
    pub fn content_type(&self) -> String {
        match self.format {
            Format::Json => self.format.to_string(),
            format => format!("{format}; escaping={}", self.escaping.as_str()),
        }
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
    /// The result as it is asked for, in one piece.
    #[must_use]
    pub fn encode(&self, exposition: &Exposition<'_>) -> Vec<u8> {
        self.pages(exposition).into_vec()
    }

    /// The result as it is asked for. A page that is the same as in the merge before need neither be written nor
    /// compressed again.
    #[must_use]
    pub fn pages(&self, exposition: &Exposition<'_>) -> Pages {
        let style = Style::of(exposition);
        let has_created =
            exposition.created_samples && matches!(style, Style::Lines(Dialect::OpenMetrics, _));
        // What few ask for is not kept.
        if exposition.names.is_empty() && !has_created {
            return self.rendering().sheets().borrow_mut().pages(style, self);
        }
        let families = shown(self, exposition);
        Pages::from(match style {
            Style::Lines(dialect, escaping) => sheet::write(&families, dialect, escaping, has_created),
            Style::Protobuf(escaping) => protobuf::write(&families, escaping),
        })
    }
}
