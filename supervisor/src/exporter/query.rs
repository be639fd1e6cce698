//! What a request says behind the `?`.

/// The values of a parameter that may come several times, decoded. What is no text is left out.
pub(super) fn values(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(known, _)| decode(known).as_deref() == Some(name))
        .filter_map(|(_, value)| decode(value))
        .collect()
}

/// A text in which `%` and two digits stand for a byte, and `+` for a space.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_as_prometheus_sends_them() {
        assert_eq!(values("name%5B%5D=a&name[]=b+c&other=d&name[]=%C3%A9", "name[]"), ["a", "b c", "é"]);
        for bad in ["", "name[]", "name[]=%", "name[]=%4", "name[]=%zz", "name[]=%ff", "%=a"] {
            assert_eq!(values(bad, "name[]"), Vec::<String>::new(), "{bad}");
        }
    }
}
