//! What was asked, and what was answered, decide whether anybody reads the answer's body.

/// What a request asks for, as far as that matters to the body of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The head alone.
    Head,
    /// A tunnel, by `CONNECT`.
    Tunnel,
    /// An answer with its body.
    Answer,
}

impl Asked {
    /// What a method asks for.
    #[inline]
    pub(crate) fn by(method: &str) -> Self {
        match method {
            "HEAD" => Self::Head,
            "CONNECT" => Self::Tunnel,
            _ => Self::Answer,
        }
    }

    /// Whether a server reads nothing of the body of an answer with this status, by RFC 9110, 6.4.1.
    #[inline]
    pub(crate) fn leaves_unread(self, status: u16) -> bool {
        let by_method = match self {
            Self::Head => true,
            Self::Tunnel => (200..300).contains(&status),
            Self::Answer => false,
        };
        by_method || matches!(status, 100..200 | 204 | 304)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_unless_the_method_or_the_status_has_none() {
        let check = |method, status, expected| {
            assert_eq!(Asked::by(method).leaves_unread(status), expected, "{method} {status}");
        };
        check("GET", 200, false);
        check("GET", 101, true);
        check("GET", 204, true);
        check("GET", 304, true);
        check("HEAD", 200, true);
        check("CONNECT", 200, true);
        check("CONNECT", 502, false);
        check("head", 200, false);
    }
}
