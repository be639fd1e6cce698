//! Keys as Python's client spells them, where nothing in them needs an escape: they are read without a parser of JSON.
//!
//! Nearly all keys are such. Any other spelling is for the parser, and both make the same of what both can read.

use std::borrow::Cow;

use super::key::{Client, Key};

/// The key, if it is spelled so.
pub(super) fn decode(text: &str) -> Option<Key<'_>> {
    // Without a branch in it, so that many bytes are compared at once.
    let is_special = |byte: u8| byte < b' ' || byte == b'\\';
    if text.bytes().fold(false, |any, byte| any | is_special(byte)) {
        return None;
    }
    let mut rest = Rest(text);
    rest.skip("[\"")?;
    let family = rest.until_quote()?;
    rest.skip(", \"")?;
    let sample = rest.until_quote()?;
    rest.skip(", {")?;
    let mut labels: Vec<(Cow<'_, str>, _)> = Vec::new();
    if rest.skip("}").is_none() {
        rest.skip("\"")?;
        loop {
            let name = rest.until_quote()?;
            rest.skip(": \"")?;
            let value = rest.until_quote()?;
            // They are sorted, and none comes twice.
            if labels.last().is_some_and(|(last, _)| **last >= *name) {
                return None;
            }
            labels.push((name.into(), value.into()));
            if rest.skip(", \"").is_none() {
                break;
            }
        }
        rest.skip("}")?;
    }
    rest.skip(", \"")?;
    let help = rest.until_quote()?;
    let is_end = rest.0 == "]";
    let (family, sample, help) = (family.into(), sample.into(), Some(help.into()));
    is_end.then_some(Key { client: Client::Python, family, sample, help, labels })
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// What stands before the next quotation mark, which is passed over.
    fn until_quote(&mut self) -> Option<&'a str> {
        let end = self.0.bytes().position(|byte| byte == b'"')?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_pythons_client_spells_without_escapes_needs_no_parser() {
        for key in [
            r#"["c", "c_total", {"a": "x", "b": ""}, "A 'help', [it] is: {so}."]"#,
            r#"["h", "h_bucket", {"le": "+Inf"}, "é"]"#,
            r#"["g", "g", {}, ""]"#,
        ] {
            assert_eq!(decode(key), Some(Key::parse(key, 8).unwrap()), "{key}");
        }
        for other in [
            r#"["c", "c_total", {"a": "\u00e9"}, ""]"#,
            r#"["c", "c_total", {"b": "x", "a": "y"}, ""]"#,
            r#"["c", "c_total", {"a": "x", "a": "y"}, ""]"#,
            r#"["c","c_total",{},""]"#,
            r#"["c", "c_total", {}, "", 1]"#,
            r#"["c", "c_total", {"a": 1}, ""]"#,
            "[\"c\", \"c_total\", {}, \"a\nb\"]",
            r#"["c", "c_total", {}, ""] "#,
        ] {
            assert_eq!(decode(other), None, "{other}");
        }
    }

    /// Pieces of keys, in an order in which they may come to make sense.
    fn any_key() -> impl Strategy<Value = String> {
        let text =
            || prop::sample::select(vec!["a", "b", "le", "", "é", "\\n", "\\\"", "\u{7f}", "\t", "\""]);
        let label = (text(), text()).prop_map(|(name, value)| format!(r#""{name}": "{value}""#));
        let labels = prop::collection::vec(label, 0..4).prop_map(|labels| labels.join(", "));
        let end = prop::sample::select(vec!["]", "", "]]", ", 1]", "] "]);
        (text(), text(), labels, text(), end).prop_map(|(family, sample, labels, help, end)| {
            format!(r#"["{family}", "{sample}", {{{labels}}}, "{help}"{end}"#)
        })
    }

    proptest! {
        #[test]
        fn what_is_read_without_the_parser_is_what_it_reads(key in any_key()) {
            if let Some(read) = decode(&key) {
                prop_assert_eq!(read, Key::parse(&key, 8).unwrap());
            }
        }
    }
}
