//! How long the body of an answer is to be, in one word: it is written for each request, and read again soon.

use crate::life::Body;

/// The length of a body, as its head declares it. None at all, and none of its bytes, are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length(u64);

impl Length {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const STREAMED: Self = Self(u64::MAX);

    pub(crate) fn of(body: Body) -> Self {
        match body {
            Body::None => Self::NONE,
            Body::Sized(bytes) => Self::sized(bytes),
            Body::Streamed => Self::STREAMED,
        }
    }

    /// So many bytes; of so many that no body ever has them, one less.
    #[inline(always)]
    pub(crate) fn sized(bytes: u64) -> Self {
        Self(bytes.min(u64::MAX - 1))
    }

    /// Whether so many bytes are all that was declared.
    pub(crate) fn is_reached_by(self, bytes: u64) -> bool {
        self != Self::STREAMED && bytes >= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_complete_with_the_bytes_that_were_declared_and_a_stream_never_is() {
        let check = |body, bytes, expected| {
            assert_eq!(Length::of(body).is_reached_by(bytes), expected, "{body:?} {bytes}");
        };
        check(Body::Sized(5), 4, false);
        check(Body::Sized(5), 5, true);
        check(Body::Sized(5), 6, true);
        check(Body::Sized(u64::MAX), 5, false);
        check(Body::Streamed, u64::MAX, false);
        assert_eq!(Length::of(Body::None), Length::of(Body::Sized(0)));
        assert_ne!(Length::of(Body::Sized(u64::MAX)), Length::STREAMED);
    }
}
