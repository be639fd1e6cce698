//! The text exposition format 0.0.4, line by line.
//!
//! Both sides write it: a process that renders its own metrics, and the merge. Whatever names and
//! values come in, the lines that go out are valid, because one bad line makes Prometheus drop a
//! whole scrape. From left to right: `digits` and `value`, what stands at a line's end; `bound`, of buckets; `escaped`,
//! texts that anybody may have chosen; `labels`, names and what stands between the braces; `line`, all of that together.

mod bound;
mod digits;
mod escaped;
mod labels;
mod line;
mod value;

pub use bound::write_bound;
pub use escaped::{is_plain_label_value, write_help, write_label_value};
pub use labels::{
    OWN_NAME, is_legal_label_name, write_label_name, write_labels, write_metric_name, write_plain_labels,
};
pub use line::{Sample, write_family};
pub use value::{Value, overwrite_value, write_value};

/// The Content-Type of this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is appended to nothing, for tests.
#[cfg(test)]
fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}
