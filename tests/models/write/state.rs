//! Slabs without files: memory that is there, of which more and more may be touched.

use std::io;

use loom::sync::{Mutex, MutexGuard};

use crate::sync::AtomicU64;

/// Cells of a slab: those of two tables of a native histogram. It grows by one at a time.
pub(crate) const CELLS: u32 = 10;

struct Slab {
    cells: &'static [AtomicU64],
    end: u32,
}

/// What the process has.
#[derive(Default)]
pub(crate) struct State {
    slabs: Vec<Slab>,
    idle: Vec<u32>,
}

loom::lazy_static! {
    static ref STATE: Mutex<State> = Mutex::new(State::default());
}

impl State {
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        STATE.lock().expect("no model panics and goes on")
    }

    pub(super) fn lease_slab(&mut self) -> Option<u32> {
        self.idle.pop().or_else(|| {
            let cells = (0..CELLS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
            self.slabs.push(Slab { cells: cells.leak(), end: 0 });
            u32::try_from(self.slabs.len() - 1).ok()
        })
    }

    pub(super) fn return_slab(&mut self, number: u32) {
        assert!(!self.idle.contains(&number), "a slab is given back once");
        self.idle.push(number);
    }

    pub(super) fn slab_base(&self, number: u32) -> *mut AtomicU64 {
        self.slabs[number as usize].cells.as_ptr().cast_mut()
    }

    pub(super) fn slab_end(&self, number: u32) -> u32 {
        self.slabs[number as usize].end
    }

    pub(super) fn slab_count(&self) -> u32 {
        u32::try_from(self.slabs.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn extend_slab(&mut self, number: u32, last: u32) -> io::Result<()> {
        let slab = &mut self.slabs[number as usize];
        slab.end = slab.end.max(last + 1);
        if slab.end > CELLS { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
    }

    pub(super) fn count_lost(&self, _: u32) {
        unreachable!("nothing is lost in a model");
    }

    pub(super) fn count_lost_at(&self, _: u32) {
        unreachable!("nothing is lost in a model");
    }
}

/// The cells of all slabs that there are now: what a reader of the file would see.
pub(crate) fn slabs() -> Vec<&'static [AtomicU64]> {
    State::lock().slabs.iter().map(|slab| slab.cells).collect()
}
