//! A place for a child that can be found by a number: filled once, and left and taken again by the same child.
//!
//! What is read on every look-up is one word that says whether the child is there, and then the child: as much as
//! of a `OnceLock`, which could not be emptied.
//!
//! # Safety
//!
//! One rule: the child is written once, before the state first says that there is one. So whoever has seen that
//! finds it whole, and nobody writes it any more.
#![expect(unsafe_code, reason = "a child is read beside a word that says whether it is there")]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};

use headcount_store::write::Registration;

/// No child has been here.
const EMPTY: u32 = 0;
const TAKEN: u32 = 1;
/// The child that was here is gone.
const LEFT: u32 = 2;

/// See the module.
pub(crate) struct Place<C> {
    state: AtomicU32,
    child: UnsafeCell<MaybeUninit<C>>,
}

/// What is in a place was put there whole and stays as it is: nobody finds it half done, whoever has panicked.
impl<C: RefUnwindSafe> RefUnwindSafe for Place<C> {}

// SAFETY: the child is copied out of a shared place, so it must be what several threads may have; it is written
// by one thread at a time, who holds the registration, and before others can see it.
unsafe impl<C: Copy + Send + Sync> Sync for Place<C> {}

impl<C: Copy> Place<C> {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), child: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The child that is here.
    #[inline]
    pub(crate) fn get(&self) -> Option<C> {
        self.get_ref().copied()
    }

    /// As [`get`](Self::get), for who looks at a part of it.
    #[inline]
    pub(crate) fn get_ref(&self) -> Option<&C> {
        if self.state.load(Ordering::Acquire) != TAKEN {
            return None;
        }
        // SAFETY: the state has said that a child was written, with release ordering behind the write.
        Some(unsafe { self.written() })
    }

    /// The child that is here or has been.
    pub(crate) fn known(&self, _: &mut Registration) -> Option<&C> {
        // SAFETY: as above; a place that was left was taken before.
        (!self.is_empty()).then(|| unsafe { self.written() })
    }

    /// Whether no child has ever been here.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.state.load(Ordering::Acquire) == EMPTY
    }

    /// # Safety
    ///
    /// The state has been seen, with acquire ordering, to say that a child was written.
    #[inline]
    unsafe fn written(&self) -> &C {
        let child: *const MaybeUninit<C> = self.child.get();
        // SAFETY: it is never written again, so it may be shared for as long as the place is there.
        let child = unsafe { &*child };
        // SAFETY: it was written, says the caller.
        unsafe { child.assume_init_ref() }
    }

    /// Puts a child here. If one has been here before, it is that one again.
    pub(crate) fn set(&self, _: &mut Registration, child: C) {
        if self.state.load(Ordering::Relaxed) == EMPTY {
            // SAFETY: nobody else writes, for the registration is held, and nobody reads while it is empty.
            unsafe { *self.child.get() = MaybeUninit::new(child) };
        }
        self.state.store(TAKEN, Ordering::Release);
    }

    /// Takes the child away, if `is_meant`.
    pub(crate) fn leave(&self, _: &mut Registration, is_meant: impl FnOnce(&C) -> bool) {
        if self.get().is_some_and(|child| is_meant(&child)) {
            // Whoever sees that may look at the child, too.
            self.state.store(LEFT, Ordering::Release);
        }
    }
}

impl<C> fmt::Debug for Place<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_leaves_its_place_and_comes_back() {
        let place = Place::new();
        let registration = &mut Registration::begin();
        place.leave(registration, |_| true);
        assert_eq!(place.get(), None);
        place.set(registration, 7);
        place.leave(registration, |&child| child == 8);
        assert_eq!(place.get(), Some(7));
        place.leave(registration, |&child| child == 7);
        assert_eq!(place.get(), None);
        place.set(registration, 7);
        assert_eq!(place.get(), Some(7));
    }
}
