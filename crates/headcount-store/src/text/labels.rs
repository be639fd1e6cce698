//! Names, and what stands between the braces of a sample.
//!
//! A character that a name may not contain becomes an underscore, as Prometheus' own `underscores` escaping has it.

use super::escaped::write_label_value;

/// Appends a metric name, replacing what the format does not allow by underscores.
pub fn write_metric_name(out: &mut Vec<u8>, name: &str) {
    write_name(out, name, |c| c == ':');
}

/// Appends a label name, replacing what the format does not allow by underscores.
pub fn write_label_name(out: &mut Vec<u8>, name: &str) {
    write_name(out, name, |_| false);
}

fn write_name(out: &mut Vec<u8>, name: &str, also: impl Fn(char) -> bool) {
    for (at, c) in name.char_indices() {
        let stays = c.is_ascii_alphabetic() || c == '_' || also(c) || (at > 0 && c.is_ascii_digit());
        out.push(if stays { c as u8 } else { b'_' });
    }
}

/// Whether a label may be called so without quotation marks.
#[must_use]
pub fn is_legal_label_name(name: impl AsRef<[u8]>) -> bool {
    let name = name.as_ref();
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.iter().all(legal) && !name.first().is_none_or(u8::is_ascii_digit)
}

/// Under this name Prometheus keeps a sample's own name, and drops a scrape in which another one has it.
pub const OWN_NAME: &str = "__name__";

/// Appends label names and values as they stand between the braces of a sample. No name comes twice.
///
/// Of labels whose names become the same by underscores, the first stays; [`OWN_NAME`] does not. Returns whether
/// all names stand there as they are.
pub fn write_labels<N: AsRef<str>, V: AsRef<str>>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (N, V)>,
) -> bool {
    let start = out.len();
    let mut any_changed = false;
    for (name, value) in labels {
        let name = name.as_ref();
        let end = out.len();
        if end > start {
            out.push(b',');
        }
        let name_start = out.len();
        if is_legal_label_name(name) {
            out.extend(name.as_bytes());
        } else {
            write_label_name(out, name);
            any_changed = true;
        }
        let is_own_name = out[name_start..] == *OWN_NAME.as_bytes();
        any_changed |= is_own_name;
        if is_own_name || (any_changed && has_label(&out[start..end], &out[name_start..])) {
            out.truncate(end);
            continue;
        }
        out.extend(b"=\"");
        write_label_value(out, value.as_ref());
        out.push(b'"');
    }
    !any_changed
}

/// Appends labels of which all names [can be written](write_labels) as they are.
pub fn write_plain_labels<N: AsRef<str>, V: AsRef<str>>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (N, V)>,
) {
    for (at, (name, value)) in labels.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend(name.as_ref().as_bytes());
        out.extend(b"=\"");
        write_label_value(out, value.as_ref());
        out.push(b'"');
    }
}

/// Whether a label of this name has been written. A value has no bare quotation mark in it, so the
/// name can only be found where one begins.
fn has_label(written: &[u8], name: &[u8]) -> bool {
    let at = |at: usize| written[at..].starts_with(name) && written[at + name.len()..].starts_with(b"=\"");
    let begins = |at: usize| at == 0 || written[..at].ends_with(b"\",");
    (0..written.len().saturating_sub(name.len())).any(|place| begins(place) && at(place))
}
