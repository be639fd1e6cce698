//! The log: one line an event, on standard error, which never holds up who writes it.
//!
//! A line for which there is no room is dropped; the next one that gets through says how many were.

mod line;
mod timestamp;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::sink::Sink;
use line::Line;
pub(crate) use timestamp::timestamp;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// ts=2026-01-31T12:00:00.000Z level=info msg=ready process="worker 0"
    Logfmt,
    /// One JSON object a line, with the same keys
    Json,
}

/// From where on events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything
    Debug,
    /// What happens
    Info,
    /// What ought not to happen
    Warn,
    /// What needs somebody
    Error,
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}

/// Lines of this process that were dropped, and that nobody has been told of.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// A forked child has dropped nothing yet.
pub(crate) fn begin_in_child() {
    DROPPED.store(0, Ordering::Relaxed);
}

/// Makes this process's events lines on standard error. Without standard error there is no log.
pub fn begin(format: LogFormat, level: LogLevel) {
    if let Ok(sink) = Sink::of(std::io::stderr()) {
        let log = Log { format, level: level.filter(), sink };
        // Somebody else's is as good.
        let _ = tracing::subscriber::set_global_default(log);
    }
}

/// Nothing here has spans, so events are all that is told.
struct Log {
    format: LogFormat,
    level: LevelFilter,
    sink: Sink,
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::new(self.format);
        event.record(&mut line);
        let dropped = DROPPED.load(Ordering::Relaxed);
        let text = line.finish(SystemTime::now(), *event.metadata().level(), dropped);
        if self.sink.write(text.as_bytes()).is_ok() {
            DROPPED.fetch_sub(dropped, Ordering::Relaxed);
        } else {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
