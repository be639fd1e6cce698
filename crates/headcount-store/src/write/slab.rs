//! Slabs: what an increment runs.
//!
//! Every thread that adds has a slab of its own, a range of addresses in which each summed series of
//! the process has the same place. To add is a plain load and store, for nobody else writes there; a
//! reader sums the slabs up. A handle is a place in the range, the same for every thread. How much
//! of its range a thread has mapped so far is a number beside the range's address: one comparison
//! tells whether the cell is there, and whether there is a slab at all. That comparison, the addition of
//! the place to the address, and the addition itself are three instructions, and all there is.
//!
//! # Safety
//!
//! One rule: below `end` bytes, all memory behind `base` is mapped, for reading and writing, until the
//! process ends. [`State`](super::state::State) establishes it before it raises `end`.
#![expect(unsafe_code, reason = "cells are reached through a base address and a place")]

use std::cell::Cell;
use std::io;
use std::ptr;

use super::state::State;
use crate::sync::{AtomicU64, Ordering, thread_local};

thread_local! {
    /// The calling thread's slab. Needs no initialisation and no destructor, so that to reach it is
    /// to read the thread pointer.
    static CURRENT: Current = const { Current::none() };

    /// Gives the thread's slab back when it ends.
    static LEASE: Lease = const { Lease };
}

struct Current {
    base: Cell<*mut AtomicU64>,
    /// How many bytes from `base` on may be touched.
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
    /// Where the first one is in every slab, in bytes: what an update would otherwise have to compute.
    first: u32,
}

/// Places from here on do not exist; which one is asked for tells whose update was lost. So far above what
/// exists and so far below the end of the numbers that no cell of a series gets past either.
const LOST: u32 = 1 << 31;

/// Length of a cell in bytes.
#[expect(clippy::cast_possible_truncation, reason = "it is 8")]
pub(super) const CELL: u32 = size_of::<AtomicU64>() as u32;

/// Which of an update's two numbers count.
#[derive(Clone, Copy)]
enum Adds {
    /// The integer.
    Count,
    /// The float, to the cell that is named.
    Float,
    /// The integer to the cell that is named, the float to the first.
    Both,
}

impl SumCells {
    pub(super) fn at(first: u32) -> Self {
        // Slabs end long before the multiplication would wrap around.
        Self { first: first * CELL }
    }

    /// The cells of a series that could not be created: updates are counted as lost, for `store`.
    pub(super) fn lost(store: u16) -> Self {
        Self { first: LOST + u32::from(store) }
    }

    /// Whether these are those of a series that was created.
    pub(super) fn exist(self) -> bool {
        self.first < LOST
    }

    /// Adds to the cell `index`, a `u64`. Wraps around beyond `u64::MAX`, as a counter may.
    #[inline]
    pub fn add(self, index: u32, n: u64) {
        self.update(Adds::Count, index, n, 0.0);
    }

    /// Adds to the cell `index`, an `f64`.
    #[inline]
    pub fn add_f64(self, index: u32, x: f64) {
        self.update(Adds::Float, index, 0, x);
    }

    /// Adds `n` to the integer cell `count` and `x` to the float cell 0.
    #[inline]
    pub fn observe(self, count: u32, n: u64, x: f64) {
        self.update(Adds::Both, count, n, x);
    }

    /// The sum over all slabs of the first cell, an `f64`.
    pub(super) fn sum_f64(self, state: &State) -> f64 {
        let is_mapped = |&number: &u32| self.first < LOST && self.first / CELL < state.slab_end(number);
        let slabs = (0..state.slab_count()).filter(is_mapped);
        slabs.map(|number| Slab { base: state.slab_base(number) }.f64(self.first)).sum()
    }

    /// Inlined with `adds` known, nothing is left of this but a comparison and the addition.
    #[inline(always)]
    fn update(self, adds: Adds, index: u32, n: u64, x: f64) {
        CURRENT.with(|current| {
            if self.place(index) < current.end.get() {
                Slab { base: current.base.get() }.apply(self, adds, index, n, x);
            } else {
                self.extend_and_update(adds, index, n, x);
            }
        });
    }

    /// Where the cell `index` is in every slab, in bytes.
    #[inline(always)]
    pub(super) fn place(self, index: u32) -> u32 {
        // No cell of a series has so great an index that this wraps around.
        self.first.wrapping_add(index.wrapping_mul(CELL))
    }

    /// The first update of a thread, or of a cell that was created since: gets the memory, then adds. What
    /// it needs comes in registers, so that an update that is not the first writes nothing to the stack.
    ///
    /// A thread that is past giving its slab back (its other thread-locals are being dropped) borrows one
    /// for this single update.
    #[cold]
    #[inline(never)]
    fn extend_and_update(self, adds: Adds, index: u32, n: u64, x: f64) {
        let mut state = State::lock();
        if let Some(store) = self.first.checked_sub(LOST) {
            return state.count_lost(store);
        }
        let last = self.place(index) / CELL;
        let alive = LEASE.try_with(|_| ()).is_ok();
        let Some(number) = own_slab().or_else(|| state.lease_slab()) else {
            return state.count_lost_at(last);
        };
        match state.extend_slab(number, last) {
            Ok(()) => Slab { base: state.slab_base(number) }.apply(self, adds, index, n, x),
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
    /// Adds to a series' cells, which are mapped up to `index`.
    #[inline(always)]
    fn apply(self, cells: SumCells, adds: Adds, index: u32, n: u64, x: f64) {
        match adds {
            Adds::Count => self.add(cells.place(index), n),
            Adds::Float => self.add_f64(cells.place(index), x),
            Adds::Both => {
                self.add(cells.place(index), n);
                self.add_f64(cells.first, x);
            }
        }
    }

    #[inline]
    fn add(self, place: u32, n: u64) {
        let cell = self.cell(place);
        // One thread writes here, so what was loaded is still true when it is stored.
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    #[inline]
    fn add_f64(self, place: u32, x: f64) {
        let cell = self.cell(place);
        let sum = f64::from_bits(cell.load(Ordering::Relaxed)) + x;
        cell.store(sum.to_bits(), Ordering::Relaxed);
    }

    fn f64(self, place: u32) -> f64 {
        f64::from_bits(self.cell(place).load(Ordering::Relaxed))
    }

    #[inline]
    fn cell(&self, place: u32) -> &AtomicU64 {
        // SAFETY: the place is below the mapped end: `update` and `sum_f64` compared it, or `extend_and_update` had
        // the state map it; so it is inside the one range that was reserved for this slab.
        let place = in_register(unsafe { self.base.byte_add(place as usize) });
        // SAFETY: mapped, as above; aligned, because the range begins with a page and places are
        // whole cells, which are as long as an `AtomicU64` is aligned; mapped memory stays mapped.
        unsafe { &*place }
    }
}

/// The same address, in a register of its own. Left to itself the compiler has each load and store compute
/// it anew from base and index; processors that forward a store to the next load of the same address within
/// a cycle (Intel's since Golden Cove) do so only if the address is one register.
#[allow(clippy::pointers_in_nomem_asm_block, reason = "the address is not followed here")]
#[inline(always)]
fn in_register<T>(address: *mut T) -> *mut T {
    let mut same = address;
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    // SAFETY: no instruction at all, which touches neither memory, stack nor flags.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags));
    }
    same
}

/// What `count` cells of a series hold in each slab; 0 where they are not mapped.
pub(super) fn bits_of(state: &State, cells: SumCells, count: u32) -> impl Iterator<Item = u64> {
    let slabs =
        (0..state.slab_count()).map(|number| (state.slab_base(number), state.slab_end(number) * CELL));
    slabs.flat_map(move |(base, end)| {
        let places = (0..count).map(move |index| cells.place(index));
        let bits = move |place| Slab { base }.cell(place).load(Ordering::Relaxed);
        places.map(move |place| if place < end { bits(place) } else { 0 })
    })
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
        current.end.set(state.slab_end(number) * CELL);
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
