//! Whether expositions in every format are what they are said to be, told by a few lines for each, without any library.
//!
//! That is enough to find bytes that have slipped out of their place, and quick enough for millions of inputs. Real
//! parsers read expositions in the integration tests. The fuzz target uses this file, too.

use std::collections::HashSet;

use headcount_merge::{Escaping, Exposition, Format, Merged, Otlp};

/// Panics if a format of the result is not valid, or has other samples than another one.
pub(crate) fn check(merged: &Merged<'_>) {
    for escaping in [Escaping::Underscores, Escaping::AllowUtf8, Escaping::Dots, Escaping::Values] {
        let encode = |format, created_samples| {
            merged.encode(&Exposition { escaping, created_samples, ..Exposition::new(format) })
        };
        let text = encode(Format::TextV1, false);
        let samples = samples(&text);
        let openmetrics = encode(Format::OpenMetrics, false);
        assert_eq!(samples, self::samples(&openmetrics));
        let has_ends =
            [openmetrics, encode(Format::OpenMetrics, true)].map(|text| text.ends_with(b"# EOF\n"));
        assert_eq!(has_ends, [true; 2]);
        delimited_messages(&encode(Format::Protobuf, false));
    }
    let json = merged.encode(&Exposition::new(Format::Json));
    let rest = json_value(std::str::from_utf8(&json).unwrap());
    assert_eq!(rest.trim_ascii(), "");
    let resource = [("service.name".to_owned(), "x".to_owned())];
    fields(&merged.to_otlp(&Otlp { resource: &resource, start: 1, time: 2 }));
}

/// The names and labels of samples, each once, and how many there are.
fn samples(exposition: &[u8]) -> HashSet<String> {
    let exposition = std::str::from_utf8(exposition).unwrap();
    assert!(exposition.is_empty() || exposition.ends_with('\n'));
    let mut samples = HashSet::new();
    for line in exposition.split_terminator('\n') {
        if line == "# EOF" {
            continue;
        }
        let comment = ["# HELP ", "# TYPE ", "# UNIT "].into_iter().find_map(|word| line.strip_prefix(word));
        if let Some(rest) = comment {
            let (_, rest) = name(rest).unwrap_or_else(|| panic!("no name: {line}"));
            assert!(rest.starts_with(' '), "{line}");
            continue;
        }
        let (key, rest) = key(line).unwrap_or_else(|| panic!("no sample: {line}"));
        let number = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let (number, exemplar) = number.split_once(" # ").map_or((number, None), |(a, b)| (a, Some(b)));
        assert!(is_number(number), "{line}");
        if let Some(exemplar) = exemplar {
            let rest = braces(exemplar).unwrap_or_else(|| panic!("no exemplar: {line}"));
            assert!(rest.trim_start().split(' ').all(is_number), "{line}");
        }
        assert!(samples.insert(key.to_owned()), "a sample comes twice: {line}");
    }
    samples
}

fn is_number(text: &str) -> bool {
    text.replace("Inf", "inf").parse::<f64>().is_ok()
}

/// Takes a name and labels away: what was taken, and the rest.
fn key(line: &str) -> Option<(&str, &str)> {
    let rest = if line.starts_with('{') { line } else { name(line)?.1 };
    let rest = if rest.starts_with('{') { braces(rest)? } else { rest };
    Some(line.split_at(line.len() - rest.len()))
}

/// Takes a name away, which may be quoted.
fn name(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_legal(c)).unwrap_or(text.len());
    (end > 0 && !text.starts_with(|c: char| c.is_ascii_digit())).then(|| text.split_at(end))
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !is_escaped => is_escaped = true,
            '"' if !is_escaped => return Some(text.split_at(at + 1)),
            '\\' | '"' | 'n' => is_escaped = false,
            _ if is_escaped => return None,
            _ => {}
        }
    }
    None
}

/// Takes labels away, with a quoted name before them or not; gives what follows.
fn braces(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('{')?;
    let mut names = HashSet::new();
    while !rest.starts_with('}') {
        let (name, behind) = name(rest)?;
        rest = match behind.strip_prefix('=') {
            Some(value) => {
                assert!(names.insert(name), "a label comes twice: {text}");
                quoted(value)?.1
            }
            None => behind,
        };
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(&rest[1..])
}

fn delimited_messages(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let len = varint(&mut bytes);
        let (message, rest) = bytes.split_at(usize::try_from(len).unwrap());
        fields(message);
        bytes = rest;
    }
}

/// Walks through the fields of a message. What is in them is not known here.
fn fields(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        assert!(tag >> 3 > 0);
        let len = match tag & 7 {
            0 => {
                varint(&mut bytes);
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)).unwrap(),
            kind => panic!("a field of kind {kind}"),
        };
        bytes = &bytes[len..];
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number without an end")
}

/// Takes a value away: objects, arrays and texts are all that there is.
fn json_value(text: &str) -> &str {
    let text = text.trim_ascii_start();
    match text.as_bytes()[0] {
        b'"' => json_text(text),
        open @ (b'{' | b'[') => {
            let mut rest = text[1..].trim_ascii_start();
            let close = if open == b'{' { '}' } else { ']' };
            while !rest.starts_with(close) {
                if open == b'{' {
                    rest = json_text(rest).strip_prefix(':').unwrap();
                }
                rest = json_value(rest).trim_ascii_start();
                match rest.strip_prefix(',') {
                    Some(behind) => rest = behind.trim_ascii_start(),
                    None => assert!(rest.starts_with(close), "{rest}"),
                }
            }
            &rest[1..]
        }
        _ => text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-'),
    }
}

fn json_text(text: &str) -> &str {
    assert!(text.starts_with('"'), "{text}");
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return &text[at + 1..],
            '\\' => {
                let (_, escaped) = characters.next().unwrap();
                assert!("\"\\/bfnrtu".contains(escaped), "{text}");
            }
            _ => assert!(c >= ' ', "{text}"),
        }
    }
    panic!("a text without an end")
}
