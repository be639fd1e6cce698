//! An event as a line.

use std::fmt::{Debug, Write};
use std::time::SystemTime;

use tracing::Level;
use tracing::field::{Field, Visit};

use super::{LogFormat, timestamp};
use crate::sink::WHOLE;

/// What is kept for time, level and the count of dropped lines.
const FRAME: usize = 160;
/// The most that a message takes; fields share the rest.
const MESSAGE: usize = 1500;
/// No byte takes more once it is escaped.
const WIDEST: usize = 6;

/// A line that grows field by field, and never beyond what is written as a whole: longer values are cut.
pub(super) struct Line {
    format: LogFormat,
    message: String,
    fields: String,
}

impl Line {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, message: String::new(), fields: String::new() }
    }

    /// The whole line, its end included.
    pub(super) fn finish(mut self, time: SystemTime, level: Level, dropped: u64) -> String {
        if dropped > 0 {
            self.add("dropped", &dropped.to_string());
        }
        let (time, level) = (timestamp(time), level.as_str().to_lowercase());
        let Self { format, message, fields } = self;
        match format {
            LogFormat::Logfmt => {
                let message = if message.is_empty() { r#""""# } else { &message };
                format!("ts={time} level={level} msg={message}{fields}\n")
            }
            LogFormat::Json => {
                let message = if message.is_empty() { r#""""# } else { &message };
                format!("{{\"ts\":\"{time}\",\"level\":\"{level}\",\"msg\":{message}{fields}}}\n")
            }
        }
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = self.fitting(value, MESSAGE);
        } else {
            let room = (WHOLE - FRAME - MESSAGE).saturating_sub(self.fields.len() + field.name().len());
            let value = self.fitting(value, room);
            self.add(field.name(), &value);
        }
    }

    /// Adds a field whose value needs nothing more.
    fn add(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = match self.format {
            LogFormat::Logfmt => write!(self.fields, " {name}={value}"),
            LogFormat::Json => write!(self.fields, ",\"{name}\":{value}"),
        };
    }

    /// A value as it is written, cut if it takes more than `room`.
    fn fitting(&self, value: &str, room: usize) -> String {
        let whole = self.spelled(value);
        if whole.len() <= room {
            return whole;
        }
        let end = value.floor_char_boundary((room / WIDEST).saturating_sub(1));
        self.spelled(&format!("{}…", &value[..end]))
    }

    fn spelled(&self, value: &str) -> String {
        let is_plain = |c: char| !(c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'));
        if self.format == LogFormat::Logfmt && !value.is_empty() && value.chars().all(is_plain) {
            value.to_owned()
        } else {
            serde_json::Value::from(value).to_string()
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), &value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::UNIX_EPOCH;
    use tracing::subscriber::with_default;

    /// Keeps the line of the last event.
    struct Keeper {
        format: LogFormat,
        dropped: u64,
        line: Arc<Mutex<String>>,
    }

    impl tracing::Subscriber for Keeper {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line::new(self.format);
            event.record(&mut line);
            *self.line.lock().unwrap() = line.finish(UNIX_EPOCH, *event.metadata().level(), self.dropped);
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
            tracing::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
        fn enter(&self, _: &tracing::Id) {}
        fn exit(&self, _: &tracing::Id) {}
    }

    fn line(format: LogFormat, dropped: u64, event: impl FnOnce()) -> String {
        let line: Arc<Mutex<String>> = Arc::default();
        with_default(Keeper { format, dropped, line: Arc::clone(&line) }, event);
        line.lock().unwrap().clone()
    }

    #[test]
    fn logfmt_quotes_what_needs_it() {
        let check = |event: fn(), expected: &str| {
            let expected = format!("ts=1970-01-01T00:00:00.000Z {expected}\n");
            assert_eq!(line(LogFormat::Logfmt, 0, event), expected);
        };
        check(|| tracing::info!("ready"), "level=info msg=ready");
        check(
            || tracing::warn!(process = %"worker 0", pid = 12, path = "/a", "did not stop"),
            r#"level=warn msg="did not stop" process="worker 0" pid=12 path=/a"#,
        );
        check(|| tracing::error!(a = "", b = "x=\"1\"\n", c = true, "x"), {
            r#"level=error msg=x a="" b="x=\"1\"\n" c=true"#
        });
        check(|| tracing::info!(n = -1), r#"level=info msg="" n=-1"#);
    }

    #[test]
    fn json_has_the_same_keys_and_numbers_stay_numbers() {
        let text = line(LogFormat::Json, 3, || tracing::info!(process = %"worker 0", pid = 12, "a \"b\"\n"));
        assert!(text.ends_with("}\n"));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "ts": "1970-01-01T00:00:00.000Z", "level": "info", "msg": "a \"b\"\n",
            "process": "worker 0", "pid": 12, "dropped": 3,
        });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn no_line_is_longer_than_what_is_written_as_a_whole() {
        for evil in ["\0".repeat(9000), "…".repeat(9000), "x".repeat(9000)] {
            for format in [LogFormat::Json, LogFormat::Logfmt] {
                let text = line(format, u64::MAX, || {
                    tracing::error!(a = evil, b = evil, c = evil, process = %"worker 4095", "{evil}");
                });
                assert!(text.len() <= WHOLE && text.ends_with('\n'), "{}", text.len());
                assert!(text.contains("worker 4095") || text.contains("process"), "{text}");
                if format == LogFormat::Json {
                    serde_json::from_str::<serde_json::Value>(&text).unwrap();
                }
            }
        }
    }
}
