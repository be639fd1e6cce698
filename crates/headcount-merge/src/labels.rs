//! A label set as bytes: equal bytes mean equal labels, and bytes compare as the labels do.
//!
//! Names and values stand in the order of the names, each ended by a zero byte; a zero byte within one
//! is followed by 0xff, which begins no text. So sorting series is comparing bytes.

use std::borrow::Cow;

use headcount_store::text::{OWN_NAME, is_legal_label_name, is_plain_label_value, write_plain_labels};
use memchr::memchr;

const END: u8 = 0;
const ESCAPE: u8 = 0xff;

/// Appends one name or value.
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    if memchr(END, text.as_bytes()).is_none() {
        return encode_plain(text.as_bytes(), out);
    }
    for byte in text.bytes() {
        out.push(byte);
        if byte == END {
            out.push(ESCAPE);
        }
    }
    out.push(END);
}

/// Appends one without a zero byte in it.
pub(crate) fn encode_plain(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text);
    out.push(END);
}

/// The names and values as bytes, in order; `None` if something is escaped.
fn plain(bytes: &[u8]) -> Option<impl Iterator<Item = (&[u8], &[u8])>> {
    let mut rest = bytes;
    let next = move || (!rest.is_empty()).then(|| (take_until(END, &mut rest), take_until(END, &mut rest)));
    memchr(ESCAPE, bytes).is_none().then(|| std::iter::from_fn(next))
}

/// Takes what stands before a byte off the beginning, and that byte; all, if it is not there.
fn take_until<'a>(byte: u8, text: &mut &'a [u8]) -> &'a [u8] {
    let (taken, rest) = match memchr(byte, text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (*text, &[][..]),
    };
    *text = rest;
    taken
}

/// Whether labels can be [spelled](spell_plain) as they are called.
pub(crate) fn has_plain_names(bytes: &[u8]) -> bool {
    let is_plain = |name: &[u8]| is_legal_label_name(name) && name != OWN_NAME.as_bytes();
    match plain(bytes) {
        Some(mut pairs) => pairs.all(|(name, _)| is_plain(name)),
        None => decode(bytes).all(|(name, _)| is_plain(name.as_bytes())),
    }
}

/// Appends labels as an exposition spells them, if they [have plain names](has_plain_names).
pub(crate) fn spell_plain(bytes: &[u8], out: &mut Vec<u8>) {
    match plain(bytes).filter(|_| is_plain_label_value(bytes)) {
        None => write_plain_labels(out, decode(bytes)),
        Some(pairs) => {
            for (at, (name, value)) in pairs.enumerate() {
                out.extend(if at == 0 { b"".as_slice() } else { b"," });
                out.extend(name);
                out.extend(b"=\"");
                out.extend(value);
                out.push(b'"');
            }
        }
    }
}

/// The names and values, in order.
pub(crate) fn decode(bytes: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    // What is no text as a whole has escapes in it.
    let mut plain = std::str::from_utf8(bytes);
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if let Ok(plain) = &mut plain {
            let name = next_plain(plain)?;
            return Some((Cow::Borrowed(name), Cow::Borrowed(next_plain(plain)?)));
        }
        if rest.is_empty() {
            return None;
        }
        let name = decode_text(&mut rest);
        let value = decode_text(&mut rest);
        Some((name, value))
    })
}

fn next_plain<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = memchr(END, rest.as_bytes())?;
    let text = &rest[..end];
    *rest = &rest[end + 1..];
    Some(text)
}

/// The next one of those in which there may be escapes.
fn decode_text(rest: &mut &[u8]) -> Cow<'static, str> {
    let mut text = Vec::new();
    let mut bytes = rest.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == END && bytes.next_if_eq(&ESCAPE).is_none() {
            break;
        }
        text.push(byte);
    }
    *rest = &rest[rest.len() - bytes.len()..];
    // What was encoded was text.
    Cow::Owned(String::from_utf8(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(labels: &[(String, String)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in labels {
            encode(name, &mut out);
            encode(value, &mut out);
        }
        out
    }

    fn any_labels() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[ab\0é]{0,3}", "[ab\0é\"]{0,3}"), 0..3)
    }

    proptest! {
        #[test]
        fn bytes_compare_as_labels_do_and_read_back(a in any_labels(), b in any_labels()) {
            prop_assert_eq!(bytes(&a).cmp(&bytes(&b)), a.cmp(&b));
            let (mut one, mut two) = (Vec::new(), Vec::new());
            spell_plain(&bytes(&a), &mut one);
            write_plain_labels(&mut two, decode(&bytes(&a)));
            prop_assert_eq!(one, two);
            let decoded: Vec<_> = decode(&bytes(&a)).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(decoded, a);
        }
    }
}
