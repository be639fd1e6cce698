//! A part of a request's work that goes on: what is reported meanwhile is this request's, and if it panics, so did the
//! request.
//!
//! A guard and not a function that is given the work: what the work returns, a head with its body, would be moved once
//! more. It has the request's life meanwhile, which so stays in a register.

use std::fmt;
use std::mem;

use crate::current::Current;
use crate::life::Life;
use crate::report::Follow;

/// A part of a request's work. To be [`end`](Self::end)ed behind it; dropped without, it tells of a panic.
#[must_use = "the work is done while it is there"]
pub struct Watch<F: Follow> {
    life: Life<F>,
    /// None of a request that is over, or not measured: then whatever goes on without it goes on. None once it is left.
    outer: Option<Current>,
}

impl<F: Follow> Watch<F> {
    /// Begins a part of the work of a request, if it is measured.
    #[inline(always)]
    pub fn over(life: Life<F>) -> Self {
        let outer = life.enter();
        Self { life, outer }
    }

    /// Behind a part of the work, for who tells the request's life what that has led to.
    #[inline(always)]
    pub fn behind(life: Life<F>) -> Self {
        Self { life, outer: None }
    }

    /// The work is done, for now. Never panics, so that what it has returned need not be in memory to be dropped then.
    #[inline(always)]
    pub fn end(mut self) -> Life<F> {
        self.leave();
        let life = mem::take(&mut self.life);
        mem::forget(self);
        life
    }

    /// The work is done, and has led to something that the request's life is told, if it is measured. A panic of who tells
    /// it is the request's, too.
    #[inline(always)]
    pub fn end_then(mut self, tell: impl FnOnce(&mut Life<F>)) -> Life<F> {
        self.leave();
        if !self.life.is_none() {
            tell(&mut self.life);
        }
        self.end()
    }

    #[inline(always)]
    fn leave(&mut self) {
        if let Some(outer) = self.outer.take() {
            self.life.leave(outer);
        }
    }
}

impl<F: Follow> Drop for Watch<F> {
    /// By its parts, so that a watch itself never needs to be in memory.
    #[inline(always)]
    fn drop(&mut self) {
        panicked(mem::take(&mut self.life), self.outer.take());
    }
}

#[cold]
#[inline(never)]
fn panicked<F: Follow>(mut life: Life<F>, left: Option<Current>) {
    if let Some(outer) = left {
        life.leave(outer);
    }
    life.panicked();
}

impl<F: Follow> fmt::Debug for Watch<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("life", &self.life).finish_non_exhaustive()
    }
}
