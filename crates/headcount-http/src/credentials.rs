//! Who may see the metrics, where no other layer asks.

use std::fmt;

/// What a scraper has to send as `Authorization`.
#[derive(Clone)]
pub struct Credentials(String);

impl Credentials {
    /// A bearer token.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self(format!("Bearer {token}"))
    }

    /// A user and a password.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        Self(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
    }

    /// What `WWW-Authenticate` is to say to those who are not admitted.
    #[must_use]
    pub fn challenge(&self) -> &'static str {
        if self.0.starts_with("Bearer") { "Bearer" } else { "Basic realm=\"metrics\"" }
    }

    /// Whether a header `Authorization` admits. Takes as long for a wrong one, wherever it is wrong.
    #[must_use]
    pub fn admit(&self, header: Option<&[u8]>) -> bool {
        let (wanted, Some(sent)) = (self.0.as_bytes(), header) else { return false };
        // The scheme may be in any case; what follows may not.
        let scheme = wanted.iter().position(|byte| *byte == b' ').unwrap_or(0);
        let differ = |at: usize, sent: u8, wanted: u8| {
            if at < scheme { sent.to_ascii_lowercase() ^ wanted.to_ascii_lowercase() } else { sent ^ wanted }
        };
        let bytes = sent.iter().zip(wanted).enumerate();
        let difference = bytes.fold(0, |all, (at, (sent, wanted))| all | differ(at, *sent, *wanted));
        std::hint::black_box(difference) == 0 && sent.len() == wanted.len()
    }
}

/// Says nothing of what they are.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS[(bits >> shift & 63) as usize];
            out.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let check = |text: &str, expected: &str| assert_eq!(base64(text.as_bytes()), expected);
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn only_the_whole_secret_admits() {
        let bearer = Credentials::bearer("s3cret");
        let admits = |header: &str| bearer.admit(Some(header.as_bytes()));
        assert!(admits("Bearer s3cret") && admits("bearer s3cret"));
        assert!(!admits("Bearer S3cret") && !admits("Bearer s3cre") && !admits("Bearer s3cret2"));
        assert!(!admits("") && !bearer.admit(None));
        assert!(Credentials::basic("a", "b").admit(Some(b"Basic YTpi")));
        assert!(!format!("{bearer:?}").contains("s3cret"));
    }
}
