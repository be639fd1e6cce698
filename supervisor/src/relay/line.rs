//! What becomes of a line that a worker prints.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::log::timestamp;
use crate::pool::Pid;

/// Longer lines become several.
const LONGEST: usize = 3072;

/// How lines are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Form {
    /// After slot and PID: `worker 0[4242]: …`
    Prefix,
    /// As JSON objects with the keys ts, slot, pid, stream and line
    Json,
}

/// One of the two that a process prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Error,
}

impl Stream {
    pub(super) const BOTH: [Self; 2] = [Self::Output, Self::Error];

    fn name(self) -> &'static str {
        match self {
            Self::Output => "stdout",
            Self::Error => "stderr",
        }
    }
}

/// Who prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) slot: u32,
    pub(super) pid: Pid,
    pub(super) stream: Stream,
}

impl Form {
    /// A line, without its end, as it is passed on.
    pub(super) fn dress(self, origin: Origin, line: &[u8], time: SystemTime) -> Vec<u8> {
        let Origin { slot, pid, stream } = origin;
        match self {
            Self::Prefix => {
                let mut dressed = format!("worker {slot}[{pid}]: ").into_bytes();
                dressed.extend(line);
                dressed.push(b'\n');
                dressed
            }
            Self::Json => {
                let line = serde_json::Value::from(String::from_utf8_lossy(line));
                let (time, stream) = (timestamp(time), stream.name());
                let object = format!(
                    r#"{{"ts":"{time}","slot":{slot},"pid":{pid},"stream":"{stream}","line":{line}}}"#
                );
                (object + "\n").into_bytes()
            }
        }
    }
}

/// The part of a line that has come so far.
#[derive(Debug, Default)]
pub(super) struct Partial(Vec<u8>);

impl Partial {
    /// Takes what has come, and gives every line that is complete to `each`.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = LONGEST - self.0.len();
            let (part, rest, is_complete) = match bytes.iter().take(room + 1).position(|&byte| byte == b'\n')
            {
                Some(end) => (&bytes[..end], &bytes[end + 1..], true),
                None if bytes.len() > room => (&bytes[..room], &bytes[room..], true),
                None => (bytes, &[][..], false),
            };
            self.0.extend(part);
            bytes = rest;
            if is_complete {
                each(&self.0);
                self.0.clear();
            }
        }
    }

    /// Nothing more will come: gives what is left, if anything is.
    pub(super) fn finish(&mut self, each: impl FnOnce(&[u8])) {
        if !self.0.is_empty() {
            each(&std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let (mut partial, mut lines) = (Partial::default(), Vec::new());
        let mut keep = |line: &[u8]| lines.push(String::from_utf8(line.to_vec()).unwrap());
        parts.iter().for_each(|part| partial.take(part, &mut keep));
        partial.finish(keep);
        lines
    }

    #[test]
    fn lines_are_put_together_from_whatever_comes() {
        assert_eq!(lines(&[b"one\ntwo\n"]), ["one", "two"]);
        assert_eq!(lines(&[b"o", b"ne", b"\n", b"\ntwo"]), ["one", "", "two"]);
        assert_eq!(lines(&[b""]), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_is_too_long_becomes_several_and_nothing_is_lost() {
        for len in [LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST] {
            let long = "x".repeat(len);
            let text = format!("{long}\nnext\n");
            for chunk in [1, 7, 4096, 65536] {
                let found = lines(&text.as_bytes().chunks(chunk).collect::<Vec<_>>());
                assert_eq!(found.concat(), long.clone() + "next", "{len} {chunk}");
                assert!(found.iter().all(|line| line.len() <= LONGEST && !line.is_empty()), "{len} {chunk}");
                assert_eq!(found.len(), len.div_ceil(LONGEST) + 1);
            }
        }
    }

    #[test]
    fn a_line_says_where_it_is_from() {
        let origin = Origin { slot: 3, pid: Pid::from_raw(42), stream: Stream::Error };
        let dress = |form: Form, line: &[u8]| form.dress(origin, line, SystemTime::UNIX_EPOCH);
        assert_eq!(dress(Form::Prefix, b"\xff"), b"worker 3[42]: \xff\n");
        let json = dress(Form::Json, b"say \"x\"\t\xff");
        let parsed: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected = serde_json::json!({
            "ts": "1970-01-01T00:00:00.000Z", "slot": 3, "pid": 42, "stream": "stderr",
            "line": "say \"x\"\t\u{fffd}",
        });
        assert_eq!(parsed, expected);
    }
}
