//! What tells gRPC from other answers, and its statuses.

/// What is still to come of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Nothing: the status was counted, or it is no answer of gRPC.
    Nothing,
    /// The status, which comes at the end, if at all.
    Status,
}

/// Whether an answer with this content type is one of gRPC.
#[must_use]
pub fn is_grpc(content_type: Option<&[u8]>) -> bool {
    content_type.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// The status of gRPC by the value of `grpc-status`, in the head or in trailers.
#[must_use]
pub fn grpc_status(value: Option<&[u8]>) -> Option<u16> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_statuses_and_only_its_types_are_grpc() {
        assert_eq!(
            [Some(&b"0"[..]), Some(b"16"), Some(b"x"), None].map(grpc_status),
            [Some(0), Some(16), None, None]
        );
        let check = |kind: &[u8], expected| assert_eq!(is_grpc(Some(kind)), expected, "{kind:?}");
        check(b"application/grpc", true);
        check(b"application/grpc+proto", true);
        check(b"application/json", false);
        assert!(!is_grpc(None));
    }
}
