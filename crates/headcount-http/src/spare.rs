//! Memory of requests that are over, for those that come next.
//!
//! What is known of a request goes from its call to its answer and on to its body. Each move of it would be a copy that the
//! processor cannot begin before the last word is written; so it stays where it is, in a box, and boxes are used
//! again. A request may be over in another thread than it came to: then that thread has the box.

use std::cell::Cell;
use std::fmt;
use std::thread::LocalKey;

use crate::ongoing::Ongoing;
use crate::report::Follow;

/// How many boxes a thread keeps. Beyond that, they are freed and allocated.
const PLACES: usize = 128;

/// The boxes that a thread keeps for requests that something follows.
pub struct Spare<F: Follow> {
    places: [Cell<Option<Box<Ongoing<F>>>>; PLACES],
    /// How many places are taken, from the first on.
    taken: Cell<usize>,
}

impl<F: Follow> Spare<F> {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "a thread-local begins with a constant")]
    #[must_use]
    pub const fn new() -> Self {
        Self { places: [const { Cell::new(None) }; PLACES], taken: Cell::new(0) }
    }

    #[inline(always)]
    fn take(&self) -> Option<Box<Ongoing<F>>> {
        let last = self.taken.get().checked_sub(1)?;
        self.taken.set(last);
        self.places.get(last)?.take()
    }

    /// Frees it if there is no place.
    #[inline(always)]
    fn put(&self, ongoing: Box<Ongoing<F>>) {
        let taken = self.taken.get();
        if let Some(place) = self.places.get(taken) {
            self.taken.set(taken + 1);
            place.set(Some(ongoing));
        }
    }
}

/// A box of the thread's, if it has one left. In a thread that ends, there is none.
#[inline(always)]
pub(crate) fn take<F: Follow>(spare: &'static LocalKey<Spare<F>>) -> Option<Box<Ongoing<F>>> {
    spare.try_with(Spare::take).ok().flatten()
}

/// Keeps a box for the thread's next request.
#[inline(always)]
pub(crate) fn put<F: Follow>(spare: &'static LocalKey<Spare<F>>, ongoing: Box<Ongoing<F>>) {
    let _ = spare.try_with(|spare| spare.put(ongoing));
}

impl<F: Follow> fmt::Debug for Spare<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").field("taken", &self.taken).finish_non_exhaustive()
    }
}
