//! The body of an answer: pieces that many answers share, one after the other.
//!
//! A page of an exposition, and what it was compressed to, are kept for as long as they do not change. They are not
//! copied for an answer, so that many who take their time cost no more memory than one.

use std::convert::Infallible;
use std::io::IoSlice;
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Buf, Bytes, Frame, SizeHint};

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
    pub(super) fn next_piece(&mut self, most: usize) -> Option<Bytes> {
        let piece = self.pieces.get(self.next)?;
        let end = piece.len().min(self.taken.saturating_add(most));
        let taken = piece.slice(self.taken..end);
        self.skip(taken.len());
        Some(taken)
    }

    /// Takes so many bytes of the next piece, not more than it has.
    fn skip(&mut self, count: usize) {
        self.len -= count;
        self.taken += count;
        if self.pieces.get(self.next).is_some_and(|piece| self.taken == piece.len()) {
            self.next += 1;
            self.taken = 0;
        }
    }
}

/// What is left, for who writes it: many pieces by one system call.
impl Buf for Body {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.get(self.next).map_or(&[], |piece| &piece[self.taken..])
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let rest = self.pieces.iter().skip(self.next + 1).map(|piece| &**piece);
        let chunks = (!self.is_empty()).then(|| self.chunk()).into_iter().chain(rest);
        let filled = slices.iter_mut().zip(chunks).map(|(slice, chunk)| *slice = IoSlice::new(chunk));
        filled.count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len, "there is not so much left");
        while count > 0 {
            let skipped = count.min(self.chunk().len());
            self.skip(skipped);
            count -= skipped;
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Self;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self>, Infallible>>> {
        let rest = take(&mut *self);
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
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
        let taken: Vec<_> = std::iter::from_fn(|| body.next_piece(4)).collect();
        assert_eq!(taken, ["one", "and ", "two"]);
        assert!(body.is_empty());
        assert_eq!(whole.clone().next_piece(4).unwrap().as_ptr(), taken[0].as_ptr());
        assert!(Body::default().next_piece(1).is_none());
    }

    #[test]
    fn what_is_left_is_written_in_whatever_parts_there_is_room_for() {
        let whole = Body::from_iter([&b"one"[..], b"two", b"three"].map(Bytes::from_static));
        let shown = |body: &Body, room| {
            let mut slices = vec![IoSlice::new(b""); room];
            let filled = body.chunks_vectored(&mut slices);
            slices[..filled].iter().map(|slice| slice.to_vec()).collect::<Vec<_>>().concat()
        };
        for count in 0..=whole.remaining() {
            let mut body = whole.clone();
            body.advance(count);
            assert_eq!(shown(&body, 8), b"onetwothree"[count..]);
            assert!(body.chunk().starts_with(&shown(&body, 1)));
            assert_eq!(body.has_remaining(), count < whole.remaining());
            assert_eq!(body.copy_to_bytes(body.remaining()), b"onetwothree"[count..]);
        }
    }
}
