//! A part of a request's work that goes on: what is reported meanwhile is this request's, and if it panics, so did the
//! request.
//!
//! A guard and not a function that is given the work: what the work returns, a head with its body, would be moved once
//! more.

use std::fmt;
use std::mem;

use crate::current::Current;
use crate::life::Life;
use crate::report::Follow;

/// A part of a request's work. To be [`end`](Self::end)ed behind it; dropped without, it tells of a panic.
#[must_use = "the work is done while it is there"]
pub struct Watch<'a, F: Follow> {
    /// None of a request that is over, or not measured: then whatever goes on without it goes on.
    life: Option<&'a mut Life<F>>,
    outer: Current,
    is_inside: bool,
}

impl<'a, F: Follow> Watch<'a, F> {
    /// Begins a part of the work of a request, if it is measured.
    #[inline(always)]
    pub fn over(life: &'a mut Life<F>) -> Self {
        match life.enter() {
            Some(outer) => Self { life: Some(life), outer, is_inside: true },
            None => Self { life: None, outer: Current::of(None, 0), is_inside: false },
        }
    }

    /// The work is done, for now.
    #[inline(always)]
    pub fn end(self) {
        self.end_then(|_| {});
    }

    /// The work is done, and has led to something that the request's life is told, if it is measured. A panic of who tells
    /// it is the request's, too.
    #[inline(always)]
    pub fn end_then(mut self, tell: impl FnOnce(&mut Life<F>)) {
        if let Some(life) = &mut self.life {
            life.leave(self.outer);
            self.is_inside = false;
            tell(life);
        }
        mem::forget(self);
    }
}

impl<F: Follow> Drop for Watch<'_, F> {
    /// By its parts, so that a watch itself never needs to be in memory.
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(life) = self.life.take() {
            panicked(life, self.is_inside.then_some(self.outer));
        }
    }
}

#[cold]
#[inline(never)]
fn panicked<F: Follow>(life: &mut Life<F>, left: Option<Current>) {
    if let Some(outer) = left {
        life.leave(outer);
    }
    life.panicked();
}

impl<F: Follow> fmt::Debug for Watch<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("life", &self.life).finish_non_exhaustive()
    }
}
