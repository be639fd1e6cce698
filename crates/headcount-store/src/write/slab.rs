//! Slabs: what an increment runs.
//!
//! Every thread that adds has a slab of its own, a range of addresses in which each summed series of
//! the process has the same place. To add is a plain load and store, for nobody else writes there; a
//! reader sums the slabs up. A handle is an index into the range, the same for every thread. How much
//! of its range a thread has mapped so far is a number beside the range's address: one comparison
//! tells whether the cell is there, and whether there is a slab at all.
//!
//! # Safety
//!
//! One rule: below `end` cells, all memory behind `base` is mapped, for reading and writing, until the
//! process ends. [`State`](super::state::State) establishes it before it raises `end`.
#![expect(unsafe_code, reason = "cells are reached through a base address and an index")]

use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::state::State;

thread_local! {
    /// The calling thread's slab. Needs no initialisation and no destructor, so that to reach it is
    /// to read the thread pointer.
    static CURRENT: Current = const { Current::none() };

    /// Gives the thread's slab back when it ends.
    static LEASE: Lease = const { Lease };
}

struct Current {
    base: Cell<*mut AtomicU64>,
    /// How many cells from `base` on may be touched.
    end: Cell<u32>,
    /// The slab's number, if `base` is not null.
    number: Cell<u32>,
}

impl Current {
    const fn none() -> Self {
        Self { base: Cell::new(ptr::null_mut()), end: Cell::new(0), number: Cell::new(0) }
    }
}

/// The summed cells of one series: a small number that is valid in every thread, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumCells {
    first: u32,
}

/// Cells from here on do not exist; which one is asked for tells whose update was lost.
const LOST: u32 = u32::MAX - 0xffff;

impl SumCells {
    pub(super) fn at(first: u32) -> Self {
        Self { first }
    }

    /// The cells of a series that could not be created: updates are counted as lost, for `store`.
    pub(super) fn lost(store: u16) -> Self {
        Self { first: LOST + u32::from(store) }
    }

    /// Adds to the cell `index`, a `u64`. Wraps around beyond `u64::MAX`, as a counter may.
    #[inline]
    pub fn add(self, index: u32, n: u64) {
        self.update(index, |slab| slab.add(self.first + index, n));
    }

    /// Adds to the cell `index`, an `f64`.
    #[inline]
    pub fn add_f64(self, index: u32, x: f64) {
        self.update(index, |slab| slab.add_f64(self.first + index, x));
    }

    /// Adds `n` to the integer cell `count` and `x` to the float cell 0.
    #[inline]
    pub fn observe(self, count: u32, n: u64, x: f64) {
        self.update(count, |slab| {
            slab.add(self.first + count, n);
            slab.add_f64(self.first, x);
        });
    }

    /// Runs `write` with the slab of this thread, in which every cell up to `last` is mapped.
    #[inline]
    fn update(self, last: u32, write: impl Fn(Slab)) {
        CURRENT.with(|current| {
            if self.first.saturating_add(last) < current.end.get() {
                write(Slab { base: current.base.get() });
            } else {
                self.extend_and_write(last, &write);
            }
        });
    }

    /// The first update of a thread, or of a cell that was created since: gets the memory, then writes.
    ///
    /// A thread that is past giving its slab back (its other thread-locals are being dropped) borrows one
    /// for this single update.
    #[cold]
    #[inline(never)]
    fn extend_and_write(self, last: u32, write: &dyn Fn(Slab)) {
        let mut state = State::lock();
        if let Some(store) = self.first.checked_sub(LOST) {
            return state.count_lost(store);
        }
        let Some(last) = self.first.checked_add(last) else { return };
        let alive = LEASE.try_with(|_| ()).is_ok();
        let Some(number) = own_slab().or_else(|| state.lease_slab()) else {
            return state.count_lost_at(last);
        };
        match state.extend_slab(number, last) {
            Ok(()) => write(Slab { base: state.slab_base(number) }),
            Err(_) => state.count_lost_at(last),
        }
        if alive {
            adopt(&state, number);
        } else {
            state.return_slab(number);
        }
    }
}

/// The memory of a slab. Only to be used for cells that are known to be mapped.
#[derive(Clone, Copy)]
struct Slab {
    base: *mut AtomicU64,
}

impl Slab {
    #[inline]
    fn add(self, cell: u32, n: u64) {
        let cell = self.cell(cell);
        // One thread writes here, so what was loaded is still true when it is stored.
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    #[inline]
    fn add_f64(self, cell: u32, x: f64) {
        let cell = self.cell(cell);
        let sum = f64::from_bits(cell.load(Ordering::Relaxed)) + x;
        cell.store(sum.to_bits(), Ordering::Relaxed);
    }

    #[inline]
    fn cell(&self, cell: u32) -> &AtomicU64 {
        // SAFETY: the index is below the mapped end: `update` compared it, or `extend_and_write` had
        // the state map it; so it is inside the one range that was reserved for this slab.
        let place = unsafe { self.base.add(cell as usize) };
        // SAFETY: mapped, as above; aligned, because the range begins with a page and cells are as
        // long as an `AtomicU64` is aligned; mapped memory stays mapped.
        unsafe { &*place }
    }
}

/// The number of the calling thread's slab, if it has one.
pub(super) fn own_slab() -> Option<u32> {
    CURRENT.with(|current| (!current.base.get().is_null()).then(|| current.number.get()))
}

/// Makes sure that the calling thread has a slab in which the cells up to `last` are mapped.
pub(super) fn extend_own(state: &mut State, last: u32) -> io::Result<()> {
    if LEASE.try_with(|_| ()).is_err() {
        return Ok(());
    }
    let number = own_slab().or_else(|| state.lease_slab()).ok_or(io::ErrorKind::OutOfMemory)?;
    let extended = state.extend_slab(number, last);
    adopt(state, number);
    extended
}

/// Makes a slab the calling thread's, as far as it is mapped.
fn adopt(state: &State, number: u32) {
    CURRENT.with(|current| {
        current.base.set(state.slab_base(number));
        current.end.set(state.slab_end(number));
        current.number.set(number);
    });
}

struct Lease;

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = State::lock();
        if let Some(number) = own_slab() {
            CURRENT.with(|current| {
                current.end.set(0);
                current.base.set(ptr::null_mut());
            });
            state.return_slab(number);
        }
    }
}
