//! File names as values: parsed once, printed back unchanged.

use std::fmt;

use crate::error::FileError;
use crate::metric::{GaugeMode, Kind};

/// The name of the file that the owner of a directory locks.
pub const LOCK_NAME: &str = "headcount.lock";

/// What the name of an archive begins with.
pub(super) const ARCHIVE: &str = "archive-";
/// What the name of a file ends with that is being filled.
pub(super) const UNFINISHED: &str = ".hc.new";

/// What a name in the directory stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileName {
    /// `<pid>-<token>.hc`: what a process records.
    Process {
        /// The PID as the process itself sees it.
        pid: u32,
        /// What makes the name unique.
        token: u64,
    },
    /// `dead-<n>.hc`: what a process that was buried has recorded.
    Dead {
        /// The number it got.
        number: u64,
    },
    /// `archive-<n>.hc`: what many dead processes have recorded.
    Archive {
        /// The number it got.
        number: u64,
    },
    /// A file of Python's or Ruby's client.
    Peer(PeerName),
    /// `.<pid>-<token>.hc.new`, `.archive-<token>.hc.new`: a file that is being filled, or whose process
    /// died over it.
    Unfinished,
    /// `headcount.lock`.
    Lock,
}

/// The name of a peer's file: `<type>_<process>.db`, and for gauges `gauge_<mode>_<process>.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerName {
    /// What its entries are.
    pub metrics: PeerType,
    /// The process: a PID, or whatever the application calls its processes.
    pub process: String,
    /// The number it got when the process was buried: `.dead-<n>` before `.db`.
    pub buried: Option<u64>,
}

/// What the entries of a peer's file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerType {
    /// Counters.
    Counter,
    /// Gauges in this mode.
    Gauge(GaugeMode),
    /// Histograms.
    Histogram,
    /// Summaries.
    Summary,
}

impl PeerType {
    /// The type that the families have.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram => Kind::Histogram,
            Self::Summary => Kind::Summary,
        }
    }
}

impl FileName {
    /// The number that a dead process's file got when it was buried, or that an archive has. Each number is
    /// greater than those given out before, for as long as any such file is there.
    #[must_use]
    pub fn burial(&self) -> Option<u64> {
        match self {
            Self::Dead { number } | Self::Archive { number } => Some(*number),
            Self::Peer(peer) => peer.buried,
            _ => None,
        }
    }

    /// Parses a name; `None` for one that is nobody's business here.
    ///
    /// # Errors
    ///
    /// When it ends in `.db` and still is not the name of a peer's file.
    pub fn parse(name: &str) -> Result<Option<Self>, FileError> {
        if name == LOCK_NAME {
            return Ok(Some(Self::Lock));
        }
        if let Some(unfinished) = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(UNFINISHED)) {
            let is_ours = parse_process(unfinished).is_some() || unfinished.starts_with(ARCHIVE);
            return Ok(is_ours.then_some(Self::Unfinished));
        }
        if name.starts_with('.') {
            return Ok(None);
        }
        if let Some(stem) = name.strip_suffix(".hc") {
            return Ok(parse_own(stem));
        }
        name.strip_suffix(".db").map(PeerName::parse).transpose().map(|peer| peer.map(Self::Peer))
    }
}

fn parse_own(stem: &str) -> Option<FileName> {
    if let Some(number) = stem.strip_prefix("dead-").and_then(parse_number) {
        return Some(FileName::Dead { number });
    }
    if let Some(number) = stem.strip_prefix(ARCHIVE).and_then(parse_number) {
        return Some(FileName::Archive { number });
    }
    parse_process(stem)
}

fn parse_process(stem: &str) -> Option<FileName> {
    let (pid, token) = stem.split_once('-')?;
    let pid = u32::try_from(parse_number(pid)?).ok()?;
    let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let well_formed = token.len() == 16 && token.chars().all(hexadecimal);
    let token = u64::from_str_radix(token, 16).ok().filter(|_| well_formed)?;
    Some(FileName::Process { pid, token })
}

/// A decimal number as it is printed: no sign, no leading zero.
fn parse_number(digits: &str) -> Option<u64> {
    let canonical = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| canonical)
}

impl PeerName {
    /// Parses a name without its `.db`.
    fn parse(stem: &str) -> Result<Self, FileError> {
        let (metrics, rest) = stem.split_once('_').unwrap_or((stem, ""));
        let (metrics, process) = match metrics {
            "counter" => (PeerType::Counter, rest),
            "histogram" => (PeerType::Histogram, rest),
            "summary" => (PeerType::Summary, rest),
            "gauge" => {
                let (mode, process) = rest.split_once('_').unwrap_or((rest, ""));
                (PeerType::Gauge(mode.parse().map_err(|_| FileError::UnknownMode)?), process)
            }
            _ => return Err(FileError::UnknownType),
        };
        let (process, buried) = match process.rsplit_once(".dead-") {
            Some((process, number)) if parse_number(number).is_some() => (process, parse_number(number)),
            _ => (process, None),
        };
        if process.is_empty() {
            return Err(FileError::NoProcess);
        }
        Ok(Self { metrics, process: process.to_owned(), buried })
    }

    /// Whether the process is `pid`: as Python's client has it, or Ruby's, which adds `-<n>`.
    #[must_use]
    pub fn is_of(&self, pid: u32) -> bool {
        self.process == pid.to_string() || self.ruby_process() == Some(&pid.to_string())
    }

    /// The process's name without the `-<n>` that Ruby's client puts behind it.
    #[must_use]
    pub fn ruby_process(&self) -> Option<&str> {
        self.process.rsplit_once('-').filter(|(_, n)| parse_number(n).is_some()).map(|(process, _)| process)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, token } => write!(f, "{pid}-{token:016x}.hc"),
            Self::Dead { number } => write!(f, "dead-{number}.hc"),
            Self::Archive { number } => write!(f, "archive-{number}.hc"),
            Self::Peer(peer) => peer.fmt(f),
            Self::Unfinished => f.write_str("a file that is being filled"),
            Self::Lock => f.write_str(LOCK_NAME),
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_", self.metrics.kind())?;
        if let PeerType::Gauge(mode) = self.metrics {
            write!(f, "{mode}_")?;
        }
        f.write_str(&self.process)?;
        if let Some(number) = self.buried {
            write!(f, ".dead-{number}")?;
        }
        f.write_str(".db")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> PeerName {
        match FileName::parse(name) {
            Ok(Some(FileName::Peer(peer))) => peer,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn every_name_is_printed_back_as_it_was() {
        for name in [
            "4711-00c0ffee00c0ffee.hc",
            "dead-0.hc",
            "archive-12.hc",
            "counter_123.db",
            "histogram_0.db",
            "summary_123-0.db",
            "gauge_livemostrecent_puma_1-0.db",
            "gauge_all_a_b.db",
            "counter_12.dead-3.db",
            "gauge_all_12-0.dead-3.db",
            "headcount.lock",
        ] {
            let parsed = FileName::parse(name).unwrap().unwrap();
            assert_eq!(parsed.to_string(), name);
        }
    }

    #[test]
    fn names_of_others_are_nobodys_business() {
        for name in
            ["notes.txt", ".hidden", "4711.hc", "x-1.hc", "01-00c0ffee00c0ffee.hc", "1-00C0FFEE00C0FFEE.hc"]
        {
            assert_eq!(FileName::parse(name).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn a_db_file_that_no_client_would_write_says_why() {
        let reason = |name| FileName::parse(name).unwrap_err().reason();
        assert_eq!(reason("counter.db"), "no_process");
        assert_eq!(reason("counter_.db"), "no_process");
        assert_eq!(reason("gauge_all.db"), "no_process");
        assert_eq!(reason("gauge_1.db"), "unknown_mode");
        assert_eq!(reason("gauge_wild_1.db"), "unknown_mode");
        assert_eq!(reason("foo_1.db"), "unknown_type");
        assert_eq!(reason("info_1.db"), "unknown_type");
    }

    #[test]
    fn a_process_is_found_by_its_pid_in_the_names_of_both_clients() {
        assert!(peer("counter_12.db").is_of(12));
        assert!(peer("counter_12-0.db").is_of(12));
        assert!(peer("gauge_all_12.dead-1.db").is_of(12));
        assert!(!peer("counter_123.db").is_of(12));
        assert!(!peer("counter_12-a.db").is_of(12));
        assert_eq!(peer("counter_puma_1-0.db").ruby_process(), Some("puma_1"));
    }

    #[test]
    fn an_unfinished_file_is_told_from_other_hidden_ones() {
        for name in [".12-00c0ffee00c0ffee.hc.new", ".archive-Xy3.hc.new"] {
            assert_eq!(FileName::parse(name).unwrap(), Some(FileName::Unfinished));
        }
        assert_eq!(FileName::parse(".x.hc.new").unwrap(), None);
    }
}
