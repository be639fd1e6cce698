//! What a metric is: its kind, its gauge mode, its name, and the sample names it lays claim to.
//!
//! These words are shared by the process that writes and the one that reads. The ten gauge modes and
//! their names are those of Python's `multiprocess_mode`; the naming rules are the data model of
//! Prometheus.

use std::fmt;
use std::str::FromStr;

/// The type of a family, as its `# TYPE` line tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A sum that never falls.
    Counter,
    /// A value that is set.
    Gauge,
    /// Observations counted by bucket, and their sum.
    Histogram,
    /// Observations counted, and their sum.
    Summary,
    /// What there is now, counted by bucket, and its sum: a histogram that may fall.
    GaugeHistogram,
    /// A fact, told by labels.
    Info,
    /// In which of several named states something is.
    StateSet,
}

impl Kind {
    /// The word after `# TYPE name` in OpenMetrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// The word after `# TYPE name` in Prometheus' text, which knows fewer: a word that it does not know fails the
    /// scrape. What Python's client says.
    #[must_use]
    pub fn text_type(self) -> &'static str {
        match self {
            Self::Info | Self::StateSet => "gauge",
            Self::GaugeHistogram => "histogram",
            kind => kind.as_str(),
        }
    }

    /// What the name of a family ends with in Prometheus' text, whether or not its metric was declared so.
    #[must_use]
    pub fn name_suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            _ => "",
        }
    }

    /// The label that the exposition or the merge puts on samples of this kind; nothing, if there is none. That of a
    /// state set is called like its family.
    #[must_use]
    pub fn own_label(self) -> &'static str {
        match self {
            Self::Histogram | Self::GaugeHistogram => "le",
            Self::Summary => "quantile",
            Self::Gauge => "pid",
            Self::Counter | Self::Info | Self::StateSet => "",
        }
    }

    /// The endings that this kind's samples put behind the family's name.
    ///
    /// Two families of one process may not claim the same sample name: `x_sum` is taken once there is
    /// a histogram `x`.
    #[must_use]
    pub fn sample_suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total"],
            Self::Gauge | Self::StateSet => &[""],
            Self::Info => &["_info"],
            Self::GaugeHistogram => &["", "_bucket", "_gsum", "_gcount"],
            Self::Histogram => &["", "_bucket", "_sum", "_count"],
            Self::Summary => &["", "_sum", "_count"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the values that several processes set for one gauge become one, or stay several.
///
/// The names and meanings are those of Python's `prometheus_client`. A `live` mode counts only
/// processes that are alive; the others go on counting what a dead process set last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GaugeMode {
    /// One sample per process, labelled `pid`, also after its death.
    #[default]
    All,
    /// One sample per living process, labelled `pid`.
    LiveAll,
    /// The sum over all processes, dead ones included.
    Sum,
    /// The sum over living processes.
    LiveSum,
    /// The least value that any process set.
    Min,
    /// The least value among living processes.
    LiveMin,
    /// The greatest value that any process set.
    Max,
    /// The greatest value among living processes.
    LiveMax,
    /// The value that was set last.
    MostRecent,
    /// The value that a living process set last.
    LiveMostRecent,
}

/// What a gauge mode does with the values, whoever may take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GaugeMerge {
    /// Keep one sample per process.
    All,
    /// Add.
    Sum,
    /// Keep the least.
    Min,
    /// Keep the greatest.
    Max,
    /// Keep the newest.
    MostRecent,
}

impl GaugeMode {
    /// Every mode, in the order of the Python client's documentation.
    pub const EVERY: [Self; 10] = [
        Self::All,
        Self::LiveAll,
        Self::Sum,
        Self::LiveSum,
        Self::Min,
        Self::LiveMin,
        Self::Max,
        Self::LiveMax,
        Self::MostRecent,
        Self::LiveMostRecent,
    ];

    /// The name as it stands in `gauge_<mode>_<pid>.db`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::LiveAll => "liveall",
            Self::Sum => "sum",
            Self::LiveSum => "livesum",
            Self::Min => "min",
            Self::LiveMin => "livemin",
            Self::Max => "max",
            Self::LiveMax => "livemax",
            Self::MostRecent => "mostrecent",
            Self::LiveMostRecent => "livemostrecent",
        }
    }

    /// Whether only living processes take part.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::LiveAll | Self::LiveSum | Self::LiveMin | Self::LiveMax | Self::LiveMostRecent)
    }

    /// What is done with the values of those that take part.
    #[must_use]
    pub fn merge(self) -> GaugeMerge {
        match self {
            Self::All | Self::LiveAll => GaugeMerge::All,
            Self::Sum | Self::LiveSum => GaugeMerge::Sum,
            Self::Min | Self::LiveMin => GaugeMerge::Min,
            Self::Max | Self::LiveMax => GaugeMerge::Max,
            Self::MostRecent | Self::LiveMostRecent => GaugeMerge::MostRecent,
        }
    }
}

impl fmt::Display for GaugeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A gauge mode that no client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown gauge mode (the modes are {})", GaugeMode::EVERY.map(GaugeMode::as_str).join(", "))]
pub struct UnknownGaugeMode;

impl FromStr for GaugeMode {
    type Err = UnknownGaugeMode;

    fn from_str(name: &str) -> Result<Self, UnknownGaugeMode> {
        Self::EVERY.into_iter().find(|mode| mode.as_str() == name).ok_or(UnknownGaugeMode)
    }
}

/// Which rule of Prometheus' data model a name breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a name cannot be empty")]
    Empty,
    /// The first character cannot begin a name.
    #[error("`{name}` begins with `{found}`: a name begins with a letter or an underscore")]
    Start {
        /// The name as given.
        name: String,
        /// Its first character.
        found: char,
    },
    /// A later character cannot stand in a name.
    #[error("`{name}` contains `{found}`: a name consists of letters, digits and underscores")]
    Character {
        /// The name as given.
        name: String,
        /// The first character that is refused.
        found: char,
    },
    /// A label name with two leading underscores.
    #[error("label `{name}` begins with two underscores, which Prometheus keeps for itself")]
    Reserved {
        /// The name as given.
        name: String,
    },
}

/// Checks a metric name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
///
/// # Errors
///
/// Says which rule is broken and by which character.
pub fn check_metric_name(name: &str) -> Result<(), NameError> {
    check_name(name, |c| c == ':')
}

/// Checks a label name: `[a-zA-Z_][a-zA-Z0-9_]*`, without two leading underscores.
///
/// # Errors
///
/// Says which rule is broken and by which character.
pub fn check_label_name(name: &str) -> Result<(), NameError> {
    check_name(name, |_| false)?;
    if name.starts_with("__") {
        return Err(NameError::Reserved { name: name.to_owned() });
    }
    Ok(())
}

fn check_name(name: &str, also: impl Fn(char) -> bool) -> Result<(), NameError> {
    let mut characters = name.chars();
    let first = characters.next().ok_or(NameError::Empty)?;
    if !(first.is_ascii_alphabetic() || first == '_' || also(first)) {
        return Err(NameError::Start { name: name.to_owned(), found: first });
    }
    match characters.find(|&c| !(c.is_ascii_alphanumeric() || c == '_' || also(c))) {
        Some(found) => Err(NameError::Character { name: name.to_owned(), found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gauge_mode_is_read_back_from_its_name() {
        for mode in GaugeMode::EVERY {
            assert_eq!(mode.as_str().parse(), Ok(mode));
            assert_eq!(mode.is_live(), mode.as_str().starts_with("live"));
        }
        assert_eq!("wild".parse::<GaugeMode>(), Err(UnknownGaugeMode));
    }

    #[test]
    fn a_metric_name_is_refused_with_the_rule_it_breaks() {
        for good in ["x", "_x", ":x", "http_requests", "a:b:c", "X9"] {
            assert_eq!(check_metric_name(good), Ok(()));
        }
        assert_eq!(check_metric_name(""), Err(NameError::Empty));
        assert_eq!(check_metric_name("9x"), Err(NameError::Start { name: "9x".into(), found: '9' }));
        assert_eq!(check_metric_name("a-b"), Err(NameError::Character { name: "a-b".into(), found: '-' }));
        assert_eq!(check_metric_name("aé"), Err(NameError::Character { name: "aé".into(), found: 'é' }));
    }

    #[test]
    fn a_label_name_may_have_neither_a_colon_nor_two_leading_underscores() {
        assert_eq!(check_label_name("method"), Ok(()));
        assert_eq!(check_label_name("_x"), Ok(()));
        assert!(matches!(check_label_name("a:b"), Err(NameError::Character { found: ':', .. })));
        assert!(matches!(check_label_name("__name__"), Err(NameError::Reserved { .. })));
    }
}
