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
        if self.state.load(Ordering::Acquire) != TAKEN {
            return None;
        }
        let child = self.child.get();
        // SAFETY: the state has said that a child was written, with release ordering behind the write; it is
        // never written again.
        let child = unsafe { *child };
        // SAFETY: as above.
        Some(unsafe { child.assume_init() })
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
            self.state.store(LEFT, Ordering::Relaxed);
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
