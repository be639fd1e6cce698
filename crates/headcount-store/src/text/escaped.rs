//! Texts that anybody may have chosen: values of labels, and help.

/// Appends a help text.
pub fn write_help(out: &mut Vec<u8>, help: &str) {
    write_escaped(out, help, Quotes::Plain);
}

/// Appends what stands between the quotation marks of a label's value.
pub fn write_label_value(out: &mut Vec<u8>, value: &str) {
    write_escaped(out, value, Quotes::Escaped);
}

/// Whether a quotation mark must be escaped: in label values, not in help texts.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    Plain,
    Escaped,
}

impl Quotes {
    fn are_special(self, byte: u8) -> bool {
        matches!(byte, b'\\' | b'\n') || (byte == b'"' && self == Self::Escaped)
    }

    fn is_any_special(self, text: &[u8]) -> bool {
        // Without a branch in it, so that many bytes are compared at once.
        text.iter().fold(false, |any, &byte| any | self.are_special(byte))
    }
}

/// Whether a label's value [is written](write_label_value) as it is.
#[must_use]
pub fn is_plain_label_value(value: &[u8]) -> bool {
    !Quotes::Escaped.is_any_special(value)
}

fn write_escaped(out: &mut Vec<u8>, text: &str, quotes: Quotes) {
    if !quotes.is_any_special(text.as_bytes()) {
        out.extend(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        if quotes.are_special(byte) {
            out.push(b'\\');
        }
        out.push(if byte == b'\n' { b'n' } else { byte });
    }
}
