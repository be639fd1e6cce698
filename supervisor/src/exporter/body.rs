//! The body of an answer: pieces that many answers share, one after the other.
//!
//! A page of an exposition, and what it was compressed to, are kept for as long as they do not change. They are not
//! copied for an answer, so that many who take their time cost no more memory than one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame, SizeHint};

/// See the module. A clone is the same body from where this one is.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    pieces: Arc<[Bytes]>,
    /// How many pieces have been taken, and how much of the next one.
    next: usize,
    taken: usize,
    /// How long what is left is.
    len: usize,
}

impl FromIterator<Bytes> for Body {
    fn from_iter<T: IntoIterator<Item = Bytes>>(pieces: T) -> Self {
        let pieces: Arc<[Bytes]> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let len = pieces.iter().map(Bytes::len).sum();
        Self { pieces, next: 0, taken: 0, len }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::from_iter([bytes])
    }
}

impl Body {
    /// How long what is left is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next piece, of at most so many bytes; `None` at the end.
    pub(super) fn take(&mut self, most: usize) -> Option<Bytes> {
        let piece = self.pieces.get(self.next)?;
        let end = piece.len().min(self.taken.saturating_add(most));
        let taken = piece.slice(self.taken..end);
        self.len -= taken.len();
        if end == piece.len() {
            self.next += 1;
            self.taken = 0;
        } else {
            self.taken = end;
        }
        Some(taken)
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.take(usize::MAX).map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_taken_one_after_the_other_and_shared_by_all() {
        let whole = Body::from_iter([&b"one"[..], b"", b"and two"].map(Bytes::from_static));
        assert_eq!(whole.len(), 10);
        let mut body = whole.clone();
        let taken: Vec<_> = std::iter::from_fn(|| body.take(4)).collect();
        assert_eq!(taken, ["one", "and ", "two"]);
        assert!(body.is_empty());
        assert_eq!(whole.clone().take(4).unwrap().as_ptr(), taken[0].as_ptr());
        assert!(Body::default().take(1).is_none());
    }
}
